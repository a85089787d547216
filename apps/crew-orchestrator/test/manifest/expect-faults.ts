/** How tests say which faults a manifest has, and where. */
import { expect } from 'vitest'
import { parseManifest } from '../../src/manifest/parse.ts'

/** Lines 1 to 6 of every manifest below; its tasks begin in line 7. */
export const HEAD = `apiVersion: hypercode/v1
kind: Crew
metadata: { name: demo }
spec:
  members: [{ id: worker, skill: work }]
  tasks:
`

export const tasks = (text: string): string => HEAD + text

export type Expected = readonly [pointer: string, line: number, column: number, words: string]

export function expectFaults(text: string, expected: readonly Expected[]): void {
  const { faults } = parseManifest(text)
  const found = faults.map(({ pointer, line, column, message }) => [pointer, line, column, message])
  expect(found).toEqual(
    expected.map(([pointer, line, column, words]) => [pointer, line, column, expect.stringContaining(words)]),
  )
}
