import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { runPeers } from '../bench/run-peers.ts'
import type { FigureSpec } from './figure.ts'

const P2_MAX_MS = 5

const Verdict = Type.Object({ P1: Type.Number(), P2: Type.Number(), P3: Type.Number(), P4: Type.Number() })
const Entry = Type.Object({
  id: Type.String(),
  figures: Type.Record(Type.String(), Type.Object({ median: Type.Number() })),
})
const Results = Type.Object({ verdict: Verdict, entries: Type.Array(Entry) })

export const peers: FigureSpec = {
  name: 'peers',
  about: 'P1 to P4 beside BullMQ in one run, medians of 3: our share of the faster of its two settings, and our P2',
  bar: `P1, P3, P4 >= BullMQ, P2 <= ${P2_MAX_MS} ms`,
  async measure() {
    const out = mkdtempSync(path.join(tmpdir(), 'hypercode-peers-figure-'))
    try {
      const args = ['--only', 'hypercode,bullmq:everysec,bullmq:always', '--out', out]
      const code = await runPeers({ args, ownsStdout: false })
      if (code !== 0) throw new Error(`the benchmark ended with ${code}`)
      const results = Value.Decode(Results, JSON.parse(readFileSync(path.join(out, 'latest.json'), 'utf8')))
      const { P1, P2, P3, P4 } = results.verdict
      const medians = results.entries.flatMap(({ id, figures }) =>
        Object.entries(figures).map(([name, { median }]) => [`${id} ${name}`, median] as const),
      )
      return {
        figure: Math.min(P1, P3, P4),
        unit: 'x BullMQ',
        ok: P1 >= 1 && P3 >= 1 && P4 >= 1 && P2 <= P2_MAX_MS,
        more: { P1, P2, P3, P4, ...Object.fromEntries(medians) },
      }
    } finally {
      rmSync(out, { recursive: true, force: true })
    }
  },
}
