import { TerminalError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import type { AskModel } from './ask-model.ts'
import { askPatiently } from './ask-patiently.ts'
import type { Budget } from './budget.ts'
import { recordedChange } from './call-record.ts'
import type { CallRecord } from './call-record.ts'
import { Conversation } from './conversation.ts'
import { JournalRoom } from './journal-room.ts'
import type { ModelSettings } from './model-settings.ts'
import { refusalOf, saidOf } from './refusal.ts'
import { runCall } from './run-call.ts'
import type { Toolbox } from './run-call.ts'
import type { ToolCall, Turn } from './turn.ts'

export interface LoopOptions extends Toolbox {
  readonly ctx: TaskContext
  readonly ask: AskModel
  readonly model: ModelSettings
  readonly budget: Budget
  readonly system: string
  readonly task: string
  /** Is the task done after this turn? Otherwise a text, which a model that calls no tool is told. */
  readonly isDone: (turn: Turn, records: readonly CallRecord[]) => true | string
  /** Hears of every call that was done, also of those that an earlier attempt has done. */
  readonly onCall: (call: ToolCall, record: CallRecord) => void
}

/**
 * The conversation of one task: the model says what to do, the tools do it, until it is done.
 * - L1: every turn and every call is a step. What the journal holds is neither asked nor done again, and the conversation and the
 *   workspace come out as they were.
 * - L2: nothing goes on without end: turns, tokens, money and time have limits, and so has nonsense.
 * - L3: a result that was refused is gone on from; why it was is a step too.
 */
export async function runLoop(options: LoopOptions): Promise<Turn> {
  const { ctx, budget, isDone } = options
  const conversation = new Conversation(options.task)
  const room = new JournalRoom()
  let nonsense = 0
  for (let number = 1; ; number += 1) {
    const name = `turn-${number}`
    const { turn, isReplayed } = await takeTurn(options, conversation, name, room)
    const records: CallRecord[] = []
    for (const [index, call] of turn.calls.entries()) {
      records.push(await takeCall(options, `${name}/call-${index + 1} ${stepWord(call, options)}`, call, room))
    }
    conversation.add(
      turn,
      records.map(({ text }) => text),
    )
    const done = isDone(turn, records)
    if (done === true) {
      const refusal = isReplayed ? await refusalOf(ctx, name) : undefined
      if (refusal === undefined) return turn
      room.add(refusal)
      conversation.say(saidOf(refusal))
      continue
    }
    // L2
    nonsense = turn.calls.length > 0 && records.some(({ refused }) => refused !== 'input') ? 0 : nonsense + 1
    if (nonsense >= NONSENSE_MAX) {
      throw new TerminalError(`the model makes no sense: ${nonsense} answers in a row could not be used`, undefined, {
        code: 'model_confused',
      })
    }
    if (turn.calls.length === 0) conversation.say(turn.finish === 'length' ? CUT : done)
    await ctx.progress(
      number / (budget.limits.turns + 1),
      `${name}: ${turn.calls.map(({ name: tool }) => tool).join(', ')}`,
    )
  }
}

async function takeTurn(
  options: LoopOptions,
  conversation: Conversation,
  name: string,
  room: JournalRoom,
): Promise<{ turn: Turn; isReplayed: boolean }> {
  const { ctx, budget, model } = options
  let isReplayed = true
  const turn: Turn = await ctx.step(name, async () => {
    isReplayed = false
    budget.assertLeft()
    room.assertLeft()
    return await askWithin(options, conversation, name)
  })
  budget.addTurn(turn)
  room.add(turn)
  // The same key in every attempt: told again after a resume, counted once.
  const { inputTokens, outputTokens, usd } = turn.usage
  await ctx.usage({ key: name, model: model.name, inputTokens, outputTokens, usd })
  return { turn, isReplayed }
}

/** Asks for as long as there is time. */
async function askWithin(options: LoopOptions, conversation: Conversation, name: string): Promise<Turn> {
  const { ctx, ask, model, budget, system, tools } = options
  const late = AbortSignal.timeout(budget.msLeft)
  let said = false
  const question = {
    system,
    messages: conversation.messages,
    tools,
    maxOutputTokens: Math.min(ANSWER_MAX_TOKENS, budget.tokensLeft),
    signal: AbortSignal.any([ctx.signal, late]),
    onText: async (text: string) => {
      said = true
      await ctx.output(text)
    },
  }
  try {
    return await askPatiently(ask, question, model.patience, async (fault, pauseMs) => {
      if (said && pauseMs !== undefined) await ctx.output(`\n[${fault.message}; asked again]\n`)
      said = false
      ctx.log.warn({ turn: name, status: fault.status, pauseMs }, fault.message)
    })
  } catch (error) {
    ctx.signal.throwIfAborted()
    if (!late.aborted) throw error
    budget.addTime(budget.msLeft)
    throw budget.exceeded('ms')
  }
}

async function takeCall(options: LoopOptions, name: string, call: ToolCall, room: JournalRoom): Promise<CallRecord> {
  const { ctx, budget, scope, onCall } = options
  let here = false
  const record: CallRecord = await ctx.step(name, async () => {
    here = true
    const within = { ...scope, commandMaxMs: Math.min(scope.commandMaxMs, budget.msLeft) }
    return await runCall(ctx, name, call, { tools: options.tools, scope: within }, room)
  })
  budget.addTime(record.ms)
  room.add(record)
  if (!here && record.change !== undefined) await scope.workspace.replay(await recordedChange(ctx, record.change)) // L1
  onCall(call, record)
  return record
}

/** The name of a tool as a part of a step name; whatever a model may invent is none. */
const stepWord = ({ name }: ToolCall, { tools }: LoopOptions): string =>
  tools.some((tool) => tool.name === name) ? name : 'unknown tool'

const CUT = 'Your answer was cut, since it was too long. Go on in smaller steps.'
const NONSENSE_MAX = 5
const ANSWER_MAX_TOKENS = 16_384
