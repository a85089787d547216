/** The shapes of work that are measured, as manifests. */
const manifest = (name: string, tasks: object[]) => ({
  apiVersion: 'hypercode/v1',
  kind: 'Crew',
  metadata: { name },
  spec: {
    process: 'dag',
    members: [
      { id: 'noop', skill: 'bench.noop' },
      { id: 'list', skill: 'bench.list' },
      { id: 'nobody', skill: 'bench.nobody' },
    ],
    tasks,
  },
})

export const SINGLE = manifest('bench-single', [
  { id: 'work', member: 'noop', input: { payload: '${mission.input.payload}' } },
])

export const CHAIN = manifest('bench-chain', [
  { id: 'first', member: 'noop', input: { payload: '${mission.input.payload}' } },
  { id: 'second', member: 'noop', dependsOn: ['first'], input: { payload: '${tasks.first.output.payload}' } },
  { id: 'third', member: 'noop', dependsOn: ['second'], input: { payload: '${tasks.second.output.payload}' } },
])

export const FAN = manifest('bench-fan', [
  { id: 'list', member: 'list', input: {} },
  { id: 'each', member: 'noop', dependsOn: ['list'], forEach: '${tasks.list.output}', input: { n: '${item}' } },
  { id: 'join', member: 'noop', dependsOn: ['each'], input: {} },
])

/** Its task is due before anybody comes for it: there is no agent with the skill. */
export const OVERDUE = manifest('bench-overdue', [
  { id: 'work', member: 'nobody', input: {}, timeouts: { queue: '2s' } },
])

/** Tasks that agents run in one mission of FAN. */
export const FAN_TASKS = 102
