import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { assemblePackage } from './assemble-package.ts'

// `node infra/scripts/pack-agent.ts`: builds @hypercode/base-agent and assembles what is published of it under
// packages/base-agent/publish. `pnpm pack` and `pnpm publish` run it by themselves.
const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = path.join(root, 'node_modules/.bin/tsc')
const build = spawnSync(tsc, ['-b', 'packages/base-agent'], { cwd: root, stdio: 'inherit' })
if (build.error !== undefined) throw build.error
if (build.status !== 0) process.exit(build.status ?? 1)
const { files, internal } = assemblePackage(root, path.join(root, 'packages/base-agent'))
process.stdout.write(`packages/base-agent/publish: ${files} files, with ${internal.join(', ')} inside\n`)
