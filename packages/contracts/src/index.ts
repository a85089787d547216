export {
  Agent,
  AgentCard,
  AgentInstance,
  AgentPage,
  Health,
  Heartbeat,
  HeartbeatAnswer,
  LIFECYCLE,
  Lifecycle,
  RegisterAgent,
  Registration,
  Skill,
  SkillId,
} from './agents.ts'
export {
  APPROVAL_STATES,
  Approval,
  ApprovalDecision,
  ApprovalState,
  Approvers,
  Decide,
  EditApproval,
  approvalTerms,
} from './approvals.ts'
export {
  AUDIT_KINDS,
  AuditChange,
  AuditConfidence,
  AuditCounts,
  AuditFinding,
  AuditKind,
  AuditKindSummary,
  AuditPriority,
  AuditReport,
  SuppressedFinding,
} from './audit-report.ts'
export {
  BLUEPRINT_ALIASES,
  Blueprint,
  BlueprintAlias,
  BlueprintManifest,
  BlueprintValidation,
  BlueprintVersionRef,
  DRIVERS,
  DriverName,
  EnvName,
  EnvVariables,
  Promotion,
  memoryBytes,
} from './blueprints.ts'
export {
  GYM_RUN_STATES,
  GymComparison,
  GymRun,
  GymRunState,
  GymSample,
  ScenarioSummary,
  Score,
  VERDICTS,
  Verdict,
} from './gym-runs.ts'
export { FilePath, Scorer } from './gym-scorers.ts'
export { GateRule, GymFault, Scenario, Suite, SuiteManifest, SuiteValidation } from './gym-suites.ts'
export {
  AssembledMember,
  Assembly,
  Crash,
  FAILURES,
  Failure,
  Instance,
  PoolName,
  SpawnAnswer,
  SpawnRequest,
} from './instances.ts'
export { Budget } from './budget.ts'
export { MissionCosts, RecordUsage, StreamOutput } from './usage.ts'
export { Client, ClientPage, ClientWithSecret, CreateClient, TokenAnswer, TokenClaims, TokenRequest } from './auth.ts'
export { ROUTES, routesOf } from './catalogue.ts'
export type { OperationId } from './catalogue.ts'
export { blueprintMark, blueprintOfMark, claimSkill, parseClaimSkill } from './claim-skills.ts'
export { PlanTasks, PlannedResult, PlannedTasks } from './plan-tasks.ts'
export { Broadcast, CrewOrderAnswer, Disband } from './crew-orders.ts'
export { Duration, durationMs } from './duration.ts'
export { ManifestVerify, VERIFY_COMMAND_SKILL, Verification } from './verification.ts'
export { Crew, CrewManifest, CrewPage, CrewValidation } from './crews.ts'
export { ContextEntry, ContextKey, ContextList, PutTaskContext } from './context.ts'
export { DeadLetter, EditDeadLetter } from './dead-letters.ts'
export { EFFECT_RESPONSE_MAX_CHARS, EFFECT_STATES, Effect, PutEffect, ResolveEffect } from './effects.ts'
export { ERRORS, problemType } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export { AuditEntry } from './audit.ts'
export {
  AGENT_EVENTS,
  AgentEventName,
  CloudEvent,
  FLEET_EVENTS,
  FleetEventName,
  MISSION_EVENTS,
  MissionEventName,
  cloudEventType,
} from './events.ts'
export type { EventName } from './events.ts'
export { Explanation, GATES, Gate } from './explain.ts'
export { Id, newId } from './ids.ts'
export {
  JournalEntry,
  MISSION_STATES,
  Mission,
  MissionPage,
  MissionState,
  ResumeMission,
  SubmitBatch,
  SubmitBatchAnswer,
  SubmitMission,
  TaskCounts,
} from './missions.ts'
export {
  ARTIFACT_MAX_BYTES,
  Artifact,
  ArtifactName,
  RecordStep,
  ReportProgress,
  StepName,
  StepRecord,
} from './journal.ts'
export {
  OPERATION_ACTIONS,
  OPERATION_STATES,
  Operation,
  OperationAction,
  OperationFailure,
  OperationFilter,
  OperationPreview,
  OperationState,
  StartOperation,
} from './operations.ts'
export { Queue } from './queues.ts'
export { Schedule, ScheduleSpec } from './schedules.ts'
export { plainSchema } from './plain-schema.ts'
export { Fault, Problem } from './problem.ts'
export { SERVICES, defineRoute, fillPath, routerPath } from './route.ts'
export type { AnswerOf, BodyOf, ParamsOf, QueryOf, Route, ServiceName } from './route.ts'
export { AGENT_SCOPES, SCOPES, Scope } from './scopes.ts'
export { Readiness } from './service.ts'
export { StringEnum } from './string-enum.ts'
export { ForkMission } from './mission-operations.ts'
export { OperateTask } from './task-operations.ts'
export { TASK_STATES, Task, TaskError, TaskPage, TaskState } from './tasks.ts'
export {
  ClaimAnswer,
  ClaimRequest,
  ClaimedTask,
  CompletionAnswer,
  CompletionReport,
  CompletionRequest,
} from './work.ts'
export { SendSignal, SignalAnswer, SignalName, WAIT_MAX_MS, Wait, waitStep } from './waits.ts'
export { Json, Labels, Name, Timestamp } from './common.ts'
