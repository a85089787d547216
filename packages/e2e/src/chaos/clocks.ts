import path from 'node:path'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import type { Rig } from './rig.ts'

const PRELOAD = path.resolve(import.meta.dirname, '../../agents/wrong-clock.ts')
const WRONG_MS = 5 * 60_000

/**
 * Starts the services again with clocks that are five minutes behind and, of the second registry and orchestrator, five ahead. The gateways
 * issue the tokens: were one of them ahead, who is behind would refuse its tokens as of the future, and rightly so.
 */
export async function setClocksWrong({ gateways, registries, orchestrators }: Rig): Promise<void> {
  await restartAll(gateways, () => -WRONG_MS)
  await restartAll([...registries, ...orchestrators], (n) => (n % 2 === 0 ? -WRONG_MS : WRONG_MS))
}

export async function setClocksRight({ gateways, registries, orchestrators }: Rig): Promise<void> {
  await restartAll([...registries, ...orchestrators, ...gateways], () => 0)
}

async function restartAll(services: readonly ServiceProcess[], wrongMsOf: (n: number) => number): Promise<void> {
  for (const [n, service] of services.entries()) {
    const wrongMs = wrongMsOf(n)
    const options = wrongMs === 0 ? '' : `--import ${PRELOAD}`
    await service.restart({ NODE_OPTIONS: options, CLOCK_WRONG_MS: String(wrongMs) })
  }
}
