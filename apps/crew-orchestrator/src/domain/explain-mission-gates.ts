/** The gates that all tasks of a mission share: its own, and those of the missions around it. */
import { pausedWith } from './around.ts'
import { figuresOf, reasonOf } from './budget.ts'
import { pass, since } from './gate-of.ts'
import type { GateOf } from './gate-of.ts'

/** One that is used up holds everything within its mission; of several the outermost has to be raised first. */
export const budget: GateOf = ({ missionId, mission: { isCompensating }, budget: own, around }) => {
  const budgets = [
    ...(own === null ? [] : [{ id: missionId, of: '', limits: own }]),
    ...around.flatMap(({ id, crew, budget: limits }) =>
      limits === null ? [] : [{ id, of: ` of mission ${id} of crew ${crew} around it`, limits }],
    ),
  ]
  if (budgets.length === 0) return undefined
  const spent = isCompensating ? undefined : budgets.findLast(({ limits }) => limits.exhaustedAt !== null)
  if (spent === undefined)
    return pass('budget', budgets.map(({ of, limits }) => `${figuresOf(limits)}${of} are used`).join(', and '))
  const { id, of, limits } = spent
  return {
    gate: 'budget',
    status: 'fail',
    detail: `${of === '' ? reasonOf(limits) : `the budget${of} is used up: ${figuresOf(limits)}`}; the mission begins nothing until somebody resumes ${of === '' ? 'it' : 'that one'} with a larger one`,
    holders: [{ kind: 'mission', id }],
    ...since(limits.exhaustedAt),
    command: { method: 'POST', path: `/v1/missions/${id}:resume` },
  }
}

export const mission: GateOf = ({
  missionId,
  mission: { cancelRequestedAt, isCompensating, isPaused, pausedBy },
  around,
}) => {
  const shut = { gate: 'mission', status: 'fail', holders: [{ kind: 'mission', id: missionId }] } as const
  if (cancelRequestedAt !== null && !isCompensating)
    return {
      ...shut,
      detail: 'the mission is being canceled, and begins nothing any more',
      holders: [...shut.holders],
      ...since(cancelRequestedAt),
    }
  const outermost = isCompensating ? undefined : around.findLast((one) => one.isPaused)
  if (outermost !== undefined)
    return {
      ...shut,
      detail: `${pausedWith(outermost).reason}, and what is within it begins nothing until somebody resumes that one`,
      holders: [{ kind: 'mission', id: outermost.id, name: outermost.crew }],
      command: { method: 'POST', path: `/v1/missions/${outermost.id}:resume` },
    }
  if (!isPaused)
    return pass('mission', isCompensating ? 'the mission undoes what its tasks have done' : 'the mission goes on')
  return {
    ...shut,
    detail: `the mission is paused${pausedBy === null ? '' : ` (${pausedBy.reason})`}, and begins nothing until somebody resumes it`,
    holders: [...shut.holders, ...(pausedBy === null ? [] : [{ kind: 'task', id: pausedBy.taskId } as const])],
    command: { method: 'POST', path: `/v1/missions/${missionId}:resume` },
  }
}
