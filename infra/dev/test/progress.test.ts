import type { Mission, Task } from '@hypercode/contracts'
import { expect, test } from 'vitest'
import { createProgress } from '../src/progress.ts'

const task = (key: string, more: Partial<Task>): Task => ({
  id: `00000000-0000-7000-8000-${key.padStart(12, '0')}`,
  missionId: '00000000-0000-7000-8000-000000000000',
  key,
  state: 'blocked',
  skill: 'audit.any',
  priority: 0,
  attempt: 0,
  maxAttempts: 3,
  createdAt: '2026-01-01T00:00:00.000Z',
  version: 1,
  ...more,
})
const mission = { state: 'running' } as Mission

function terminal(more: { isTTY?: boolean; columns?: number } = {}): { write(text: string): void; text: () => string } {
  let written = ''
  return { ...more, write: (text) => void (written += text), text: () => written }
}

// Goal: a log file gets one line per change and no control codes; a terminal gets each line redrawn in its place.
test('without a terminal every change of a task is one plain line', () => {
  const plain = terminal()
  const progress = createProgress(plain)
  const second = task('2', {})
  progress.show({ mission, tasks: [task('1', { state: 'queued' }), second] })
  progress.show({ mission, tasks: [task('1', { state: 'executing', attempt: 1 }), second] })
  progress.show({ mission, tasks: [task('1', { state: 'executing', attempt: 1 }), second] })
  const half = { fraction: 0.5, message: '10 of 20 files' }
  progress.show({ mission, tasks: [task('1', { state: 'executing', attempt: 2, progress: half }), second] })
  const times = { startedAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:01.500Z' }
  progress.show({ mission, tasks: [task('1', { state: 'completed', attempt: 2, ...times }), second] })
  const error = { code: 'boom', message: 'no such file' }
  progress.show({
    mission,
    tasks: [task('1', { state: 'completed', attempt: 2, ...times }), task('2', { state: 'failed', error })],
  })
  progress.end()
  expect(plain.text().split('\n')).toEqual([
    '1: queued',
    '1: executing',
    '1: executing, 50 %, 10 of 20 files, attempt 2',
    '1: completed, 1.5 s, attempt 2',
    '2: failed, no such file',
    '',
  ])
})

test('on a terminal the lines stay where they are, are cut to its width, and the cursor comes back', () => {
  const screen = terminal({ isTTY: true, columns: 40 })
  const progress = createProgress(screen)
  const tasks = [
    task('1', { state: 'executing', progress: { fraction: 0.1, message: 'x'.repeat(200) } }),
    task('2', {}),
  ]
  progress.show({ mission, tasks })
  progress.show({ mission, tasks })
  progress.end()
  const text = screen.text()
  expect(text.startsWith('\u001B[?25l')).toBe(true)
  expect(text.endsWith('\u001B[?25h')).toBe(true)
  expect(text.split('\u001B[2A')).toHaveLength(2)
  const widths = text.split('\n').map((line) => line.replace(/\u001B\[[?\d;]*[a-zA-Z]/g, '').length)
  expect(Math.max(...widths)).toBeLessThanOrEqual(39)
})
