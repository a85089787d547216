import type { Static, TSchema } from '@sinclair/typebox'
import type { LoopOptions } from '../model/loop.ts'
import type { CallableTool } from '../model/run-call.ts'
import { InputFault, parseInput } from '../tools/tool.ts'
import type { Workspace } from '../workspace/workspace.ts'

/** A result that the model hands in by calling a tool. */
export interface HandIn<T extends TSchema> {
  readonly tool: CallableTool
  readonly isDone: LoopOptions['isDone']
  /** What was handed in last and accepted. */
  result(): Static<T>
}

/** `check` answers what is wrong with a result that fits the schema; the model hears of it and may try again. */
export function handIn<T extends TSchema>(
  name: string,
  description: string,
  input: T,
  check: (result: Static<T>, workspace: Workspace) => Promise<readonly string[]>,
): HandIn<T> {
  let accepted: Static<T> | undefined
  return {
    tool: {
      name,
      description,
      input,
      call: async (given, { workspace }) => {
        const faults = await check(parseInput(input, given), workspace)
        if (faults.length > 0) throw new InputFault(faults.join('; '))
        return { text: 'accepted' }
      },
    },
    // By what is recorded, so that it is the same for an attempt that only reads it.
    isDone: ({ calls }, records) => {
      const call = calls.findLast((one, index) => one.name === name && records[index]?.refused === undefined)
      if (call === undefined) return `Hand in your result by calling ${name}.`
      accepted = parseInput(input, call.input)
      return true
    },
    result: () => {
      if (accepted === undefined) throw new Error(`${name} was not called`)
      return accepted
    },
  }
}

/** What is wrong with a place in the code: there is no such file, or it has fewer lines. */
export async function placeFaults(workspace: Workspace, path: string, lines: readonly number[]): Promise<string[]> {
  const entry = await workspace.entry(path)
  if (entry?.kind !== 'file') return [`there is no file ${path}`]
  const last = Math.max(0, ...lines)
  if (last === 0) return []
  const text = (await workspace.read(entry)).toString('utf8')
  const count = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return last > count ? [`${path} has only ${count} lines, and not ${last}`] : []
}
