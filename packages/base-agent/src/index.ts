export { BaseAgent } from './base-agent.ts'
export { defineAgent } from './define-agent.ts'
export type { Agent, AgentDefinition, AgentOptions } from './define-agent.ts'
export {
  AgentDefinitionError,
  AgentRefused,
  AttemptStopped,
  RejectedError,
  RetryableError,
  TerminalError,
} from './errors.ts'
export type { FailureOptions, RetryOptions, StopReason } from './errors.ts'
export type { Jsonified } from './json.ts'
export type { AgentEnd } from './runtime.ts'
export { AgentConfig, serve } from './serve.ts'
export type { ServeOptions } from './serve.ts'
export type { AgentSettings } from './settings.ts'
export { startAgent } from './start-agent.ts'
export type { RunningAgent } from './start-agent.ts'
export type {
  ApprovalRequest,
  ApprovalResult,
  EffectOptions,
  ModelUsage,
  PlannableTask,
  SharedValue,
  SignalResult,
  StepOptions,
  StepRun,
  StoredArtifact,
  TaskContext,
} from './task-context.ts'
