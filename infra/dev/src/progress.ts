import { pc } from './colors.ts'
import type { Task, TaskState } from '@hypercode/contracts'
import type { MissionView } from './mission.ts'

/** Shows how a mission goes on. */
export interface Progress {
  show(view: MissionView): void
  /** Leaves the terminal as it should be, whatever was shown last. */
  end(): void
}

interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** One line per task that is redrawn in place on a terminal; a line per stage anywhere else. */
export function createProgress(terminal: Terminal): Progress {
  return terminal.isTTY === true ? redrawn(terminal) : written(terminal)
}

const MARKS: Partial<Record<TaskState, string>> = {
  completed: pc.green('✔'),
  skipped: pc.dim('−'),
  failed: pc.red('✖'),
  rejected: pc.red('✖'),
  canceled: pc.yellow('✖'),
  executing: pc.cyan('▶'),
}

const HIDE_CURSOR = '\u001B[?25l'
const SHOW_CURSOR = '\u001B[?25h'
const ERASE_LINE = '\u001B[2K'

function redrawn(terminal: Terminal): Progress {
  let drawn = 0
  return {
    show({ tasks }) {
      // A terminal that does not know its width says 0.
      const width = Math.max(20, (terminal.columns || 80) - 1)
      const up = drawn === 0 ? HIDE_CURSOR : `\u001B[${drawn}A`
      terminal.write(up + tasks.map((task) => `${ERASE_LINE}${lineOf(task, width)}\n`).join(''))
      drawn = Math.max(drawn, tasks.length)
    },
    end() {
      if (drawn > 0) terminal.write(SHOW_CURSOR)
      drawn = 0
    },
  }
}

function written(terminal: Terminal): Progress {
  const last = new Map<string, string>()
  return {
    show({ tasks }) {
      for (const task of tasks) {
        const stage = stageOf(task)
        if (task.state === 'blocked' || last.get(task.id) === stage) continue
        last.set(task.id, stage)
        terminal.write(`${task.key}: ${wordsOf(task)}\n`)
      }
    },
    end: () => undefined,
  }
}

/** What makes a new line worth it in a log: another state or attempt, or another quarter of the work. */
function stageOf({ state, attempt, progress }: Task): string {
  const quarter = state === 'executing' ? Math.floor((progress?.fraction ?? 0) * 4) : 0
  return `${state} ${attempt} ${quarter}`
}

function lineOf(task: Task, width: number): string {
  const name = task.key.padEnd(22)
  const rest = wordsOf(task)
  // Cut before it is coloured: a colour has no width.
  const text = `${name} ${rest}`.slice(0, width - 2)
  const mark = MARKS[task.state] ?? pc.dim('·')
  return `${mark} ${task.state === 'blocked' ? pc.dim(text) : text}`
}

/** The state of a task in a few words: `executing, 40 %, 120 of 300 files`. */
function wordsOf({ state, attempt, progress, reason, error, startedAt, endedAt }: Task): string {
  const words: string[] = [state]
  if (state === 'executing' && progress !== undefined) {
    words.push(
      `${Math.round(progress.fraction * 100)} %`,
      ...(progress.message === undefined ? [] : [progress.message]),
    )
  }
  if (state === 'completed' && startedAt !== undefined && endedAt !== undefined) {
    words.push(`${((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000).toFixed(1)} s`)
  }
  if (attempt > 1) words.push(`attempt ${attempt}`)
  if (error !== undefined && state !== 'completed') words.push(error.message)
  else if (reason !== undefined) words.push(reason)
  return words.join(', ')
}
