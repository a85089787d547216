import * as agents from './agents.ts'
import * as approvals from './approvals.ts'
import * as audit from './audit.ts'
import * as auth from './auth.ts'
import * as blueprints from './blueprints.ts'
import * as context from './context.ts'
import * as crewOrders from './crew-orders.ts'
import * as crews from './crews.ts'
import * as deadLetters from './dead-letters.ts'
import * as explain from './explain.ts'
import * as effects from './effects.ts'
import * as gymRuns from './gym-runs.ts'
import * as gymSuites from './gym-suites.ts'
import * as instances from './instances.ts'
import * as journal from './journal.ts'
import * as missionOperations from './mission-operations.ts'
import * as missions from './missions.ts'
import * as operations from './operations.ts'
import * as queues from './queues.ts'
import * as planTasks from './plan-tasks.ts'
import type { Route } from './route.ts'
import * as schedules from './schedules.ts'
import * as taskOperations from './task-operations.ts'
import * as tasks from './tasks.ts'
import * as usage from './usage.ts'
import * as waits from './waits.ts'
import * as work from './work.ts'

/** Every operation of the platform by its operation id. */
export const ROUTES = {
  issueToken: auth.issueToken,
  revokeToken: auth.revokeToken,
  getJwks: auth.getJwks,
  createClient: auth.createClient,
  listClients: auth.listClients,
  getClient: auth.getClient,
  rotateClient: auth.rotateClient,
  revokeClient: auth.revokeClient,
  listAudit: audit.listAudit,
  registerAgent: agents.registerAgent,
  listAgents: agents.listAgents,
  watchAgents: agents.watchAgents,
  getAgent: agents.getAgent,
  getAgentCard: agents.getAgentCard,
  updateAgent: agents.updateAgent,
  deleteAgent: agents.deleteAgent,
  heartbeatAgent: agents.heartbeatAgent,
  drainAgent: agents.drainAgent,
  stopInstance: agents.stopInstance,
  registerAgentAlias: agents.registerAgentAlias,
  heartbeatAlias: agents.heartbeatAlias,
  createCrew: crews.createCrew,
  validateCrew: crews.validateCrew,
  listCrews: crews.listCrews,
  getCrew: crews.getCrew,
  broadcastToCrew: crewOrders.broadcastToCrew,
  disbandCrew: crewOrders.disbandCrew,
  submitMission: missions.submitMission,
  submitMissions: missions.submitMissions,
  listMissions: missions.listMissions,
  getMission: missions.getMission,
  cancelMission: missions.cancelMission,
  pauseMission: missions.pauseMission,
  resumeMission: missions.resumeMission,
  listMissionTasks: missions.listMissionTasks,
  planTasks: planTasks.planTasks,
  getMissionJournal: missions.getMissionJournal,
  listMissionArtifacts: missions.listMissionArtifacts,
  watchMission: missions.watchMission,
  listContext: context.listContext,
  getContext: context.getContext,
  putContext: context.putContext,
  putTaskContext: context.putTaskContext,
  signalMission: waits.signalMission,
  retryMission: missionOperations.retryMission,
  forkMission: missionOperations.forkMission,
  listApprovals: approvals.listApprovals,
  getApproval: approvals.getApproval,
  approveApproval: approvals.approveApproval,
  rejectApproval: approvals.rejectApproval,
  editApproval: approvals.editApproval,
  listQueues: queues.listQueues,
  pauseQueue: queues.pauseQueue,
  resumeQueue: queues.resumeQueue,
  limitQueue: queues.limitQueue,
  createSchedule: schedules.createSchedule,
  listSchedules: schedules.listSchedules,
  getSchedule: schedules.getSchedule,
  updateSchedule: schedules.updateSchedule,
  deleteSchedule: schedules.deleteSchedule,
  pauseSchedule: schedules.pauseSchedule,
  resumeSchedule: schedules.resumeSchedule,
  triggerSchedule: schedules.triggerSchedule,
  claimTasks: work.claimTasks,
  completeTasks: work.completeTasks,
  getTask: tasks.getTask,
  explainTask: explain.explainTask,
  recordStep: journal.recordStep,
  reportProgress: journal.reportProgress,
  putArtifact: journal.putArtifact,
  getArtifact: journal.getArtifact,
  cancelTask: taskOperations.cancelTask,
  retryTask: taskOperations.retryTask,
  skipTask: taskOperations.skipTask,
  putEffect: effects.putEffect,
  listEffects: effects.listEffects,
  resolveEffect: effects.resolveEffect,
  listDeadLetters: deadLetters.listDeadLetters,
  getDeadLetter: deadLetters.getDeadLetter,
  replayDeadLetter: deadLetters.replayDeadLetter,
  discardDeadLetter: deadLetters.discardDeadLetter,
  editDeadLetter: deadLetters.editDeadLetter,
  startOperation: operations.startOperation,
  listOperations: operations.listOperations,
  getOperation: operations.getOperation,
  abortOperation: operations.abortOperation,
  createBlueprint: blueprints.createBlueprint,
  validateBlueprint: blueprints.validateBlueprint,
  listBlueprints: blueprints.listBlueprints,
  getBlueprint: blueprints.getBlueprint,
  promoteBlueprint: blueprints.promoteBlueprint,
  demoteBlueprint: blueprints.demoteBlueprint,
  listPromotions: blueprints.listPromotions,
  spawnInstances: instances.spawnInstances,
  listInstances: instances.listInstances,
  getInstance: instances.getInstance,
  endInstance: instances.endInstance,
  restartInstance: instances.restartInstance,
  hibernateInstance: instances.hibernateInstance,
  wakeInstance: instances.wakeInstance,
  releaseInstance: instances.releaseInstance,
  readInstanceLogs: instances.readInstanceLogs,
  assembleCrew: instances.assembleCrew,
  createSuite: gymSuites.createSuite,
  validateSuite: gymSuites.validateSuite,
  listSuites: gymSuites.listSuites,
  getSuite: gymSuites.getSuite,
  captureScenario: gymSuites.captureScenario,
  startGymRun: gymRuns.startGymRun,
  listGymRuns: gymRuns.listGymRuns,
  getGymRun: gymRuns.getGymRun,
  listGymSamples: gymRuns.listGymSamples,
  getGymReport: gymRuns.getGymReport,
  compareGymRuns: gymRuns.compareGymRuns,
  cancelGymRun: gymRuns.cancelGymRun,
  resumeGymRun: gymRuns.resumeGymRun,
  recordUsage: usage.recordUsage,
  streamOutput: usage.streamOutput,
  getMissionCosts: usage.getMissionCosts,
} as const

export type OperationId = keyof typeof ROUTES

export const routesOf = (service: Route['service']): readonly Route[] =>
  Object.values<Route>(ROUTES).filter((route) => route.service === service)
