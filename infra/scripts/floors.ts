import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFloorFaults } from './floor-faults.ts'

// `node infra/scripts/floors.ts [ROOT]`: prints every breach of the floors and exits 1, or says how many packages it saw.
const root = path.resolve(process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url)))
const { packages, faults } = findFloorFaults(root, (file) => readFileSync(file, 'utf8'))
if (faults.length > 0) {
  process.stderr.write(
    `${faults.join('\n')}\n${faults.length} ${faults.length === 1 ? 'breach' : 'breaches'} of the floors\n`,
  )
  process.exit(1)
}
process.stdout.write(`floors: ${packages} packages, every dependency stands lower\n`)
