import type { Fault, Scenario } from '@hypercode/contracts'

/** Killing an agent on its way is survived by trying again; more kills than that use up every attempt. */
const KILLS_MAX = 20

/** Faults of what is done to a sample, and of not looking at what it did. */
export function faultFaults({ faults = [], scorers }: Scenario, at: string): Fault[] {
  if (faults.length === 0) return []
  const found: Fault[] = []
  const kills = faults.flatMap((fault, index) =>
    'kill' in fault ? [{ index, at: fault.at, times: fault.times ?? 1 }] : [],
  )
  const seen = new Set<string>()
  for (const kill of kills) {
    if (seen.has(kill.at))
      found.push({
        pointer: `${at}/faults/${kill.index}/at`,
        message: `the agent is already killed at ${kill.at}`,
        fix: 'Say times there.',
      })
    seen.add(kill.at)
  }
  if (kills.reduce((sum, { times }) => sum + times, 0) > KILLS_MAX)
    found.push({ pointer: `${at}/faults`, message: `an agent can be killed ${KILLS_MAX} times in one sample` })
  const endless = faults.findIndex((fault) => 'delay' in fault && fault.times === undefined)
  for (const [index, fault] of faults.entries()) {
    if ('delay' in fault && endless !== -1 && index > endless)
      found.push({
        pointer: `${at}/faults/${index}`,
        message: `the delay before it has no end, which makes the two one`,
      })
  }
  if (!scorers.some(({ kind }) => kind === 'resilience'))
    found.push({
      pointer: `${at}/scorers`,
      message: 'nothing looks at what the faults do',
      fix: 'Add a scorer of kind resilience.',
    })
  return found
}
