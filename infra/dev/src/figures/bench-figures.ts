import { startRig } from '../bench/rig.ts'
import type { Rig } from '../bench/rig.ts'
import { p1, p2 } from '../bench/workloads.ts'
import type { Measured } from '../bench/workloads.ts'
import type { FigureSpec } from './figure.ts'

const P1_MIN = 1500
const P2_MAX_MS = 5

export const throughput: FigureSpec = {
  name: 'P1',
  about: '5,000 single-task missions submitted in bulk through the HTTP API until the last result is durable',
  bar: `>= ${P1_MIN} tasks/s`,
  measure: async () => judged(p1, (figure) => figure >= P1_MIN),
}

export const latency: FigureSpec = {
  name: 'P2',
  about: 'one mission in flight through the HTTP API, from the submit until its result is known',
  bar: `<= ${P2_MAX_MS} ms p50`,
  measure: async () => judged(p2, (figure) => figure <= P2_MAX_MS),
}

async function judged(workload: (rig: Rig) => Promise<Measured>, reaches: (figure: number) => boolean) {
  const rig = await startRig()
  try {
    const { figure, unit, more } = await workload(rig)
    return { figure, unit, ok: reaches(figure), more }
  } finally {
    await rig.stop()
  }
}
