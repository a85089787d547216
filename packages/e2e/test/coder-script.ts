import type { ModelRequest, ModelTurn } from '@hypercode/base-agent/testing'

/** What a model says to the tasks of the coder's suite, turn by turn: it is the suite's own model, and has no other answers. */
export function coderScript(request: ModelRequest): ModelTurn {
  const asked = request.messages.find(({ role }) => role === 'user')?.text ?? ''
  const [, turns] = TASKS.find(([word]) => asked.includes(word)) ?? []
  if (turns === undefined) return { text: 'I know nothing of this.' }
  const turn = request.messages.filter(({ role }) => role === 'assistant').length
  return turns[Math.min(turn, turns.length - 1)] ?? { text: 'Done.' }
}

const call = (name: string, input: object): ModelTurn => ({ toolCalls: [{ name, input }] })

const PATCH = `--- a/src/range.mjs
+++ b/src/range.mjs
@@ -2,5 +2,5 @@
 export function range(from, to) {
   const numbers = []
-  for (let number = from; number < to; number += 1) numbers.push(number)
+  for (let number = from; number <= to; number += 1) numbers.push(number)
   return numbers
 }
`

/** A word of the task, and what is said to it. */
const TASKS: readonly (readonly [string, readonly ModelTurn[]])[] = [
  [
    'range(from, to)',
    [
      call('read_file', { path: 'src/range.mjs' }),
      call('apply_patch', { patch: PATCH }),
      { text: 'The loop of range() ended one before `to`; it now goes up to it. I have not run a test.' },
    ],
  ],
  [
    'escaped.txt',
    [
      call('write_file', { path: '../escaped.txt', content: 'escaped' }),
      { text: 'I can write inside of the repository alone, so nothing was changed.' },
    ],
  ],
  [
    'total()',
    [
      call('read_file', { path: 'src/total.mjs' }),
      call('submit_review', {
        approved: false,
        summary: 'The filter keeps what it should leave out.',
        findings: [
          { severity: 'blocker', path: 'src/total.mjs', line: 2, message: 'Keeps the entries without a price.' },
        ],
      }),
    ],
  ],
  [
    'tried again',
    [
      call('search', { text: 'RETRIES' }),
      call('submit_answer', {
        answer: 'A failed request is tried again 4 times.',
        references: [
          { path: 'src/settings.mjs', fromLine: 1 },
          { path: 'src/client.mjs', fromLine: 7, toLine: 8 },
        ],
      }),
    ],
  ],
]
