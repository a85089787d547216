import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder that ends with the test. */
export async function tempFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'hc-coder-')))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Files in a folder that ends with the test; committed in a git repository unless `git` is false. */
export async function repository(
  files: Readonly<Record<string, string | Buffer>>,
  options: { readonly git?: boolean } = {},
): Promise<string> {
  const root = await tempFolder()
  for (const [path, content] of Object.entries(files)) await put(root, path, content)
  if (options.git !== false) {
    git(root, 'init', '--quiet')
    git(root, 'add', '--all')
    git(root, '-c', 'user.name=a', '-c', 'user.email=a@b.c', 'commit', '--quiet', '-m', 'first')
  }
  return root
}

export async function put(root: string, path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), content)
}

export function git(cwd: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
