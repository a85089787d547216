export { createFakeControlPlane } from './create-fake-control-plane.ts'
export type { FakeControlPlane, FakeOptions } from './create-fake-control-plane.ts'
export { createScriptedModel } from './create-scripted-model.ts'
export type { ScriptedModel, ScriptedModelOptions } from './create-scripted-model.ts'
export type { Received } from './fake-faults.ts'
export type { FakeInstance } from './fake-instance.ts'
export type { AttemptRecord, FakeTask, OutputPiece, ProgressPoint, QueuedTask } from './fake-task.ts'
export type { MemoryArtifact } from './memory-port.ts'
export type {
  ModelMessage,
  ModelRequest,
  ModelScript,
  ModelTurn,
  ScriptedError,
  ScriptedToolCall,
} from './model-script.ts'
export { runTask } from './run-task.ts'
export type { RunTaskOptions, TaskRun } from './run-task.ts'
