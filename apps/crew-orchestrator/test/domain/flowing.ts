/** What tests of the flow of a mission have in common. */
import { plannedTask } from './builders.ts'
import type { World } from './world.ts'

export const states = (world: World): Record<string, string> =>
  Object.fromEntries(world.tasks.map((task) => [task.key, task.state]))

export const chain = (...keys: string[]) =>
  keys.map((key, index) =>
    plannedTask(key, {
      dependsOn: index === 0 ? [] : [keys[index - 1] as string],
      leaf: index === keys.length - 1,
    }),
  )
