import { readFileSync } from 'node:fs'

/** The lines of an append-only file. A last line that was cut off by a crash is left out: nobody was told that it is there. */
export function readJsonLines<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  lines.pop()
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
}
