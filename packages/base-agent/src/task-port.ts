import type { Artifact, Effect, PutEffect } from '@hypercode/contracts'
import type { PlannableTask, SharedValue } from './task-context.ts'
import type { NamedUsage } from './usage.ts'

export interface StepResult {
  readonly name: string
  readonly requestHash?: string
  readonly response: unknown
}

/**
 * What an attempt tells the platform and asks of it. Every write carries the fence. A write that the fence refuses throws
 * `AttemptStopped`; what the platform refuses for good throws `TerminalError`.
 */
export interface TaskPort {
  /** @throws {AttemptStopped} when the attempt must begin nothing new */
  assertLive(): void
  /** Journals the result and answers the one that counts: the first of its name. */
  recordStep(result: StepResult): Promise<unknown>
  /** Writes down that an effect is about to be done, or was, and answers what the platform knows of it. */
  putEffect(
    name: string,
    effect: Omit<PutEffect, 'incarnation' | 'attempt'>,
  ): Promise<Pick<Effect, 'state' | 'response'>>
  reportProgress(fraction: number, message: string | undefined): Promise<void>
  /** Repeated until it is answered: the key makes sure that it counts once. */
  recordUsage(usage: NamedUsage): Promise<void>
  /** One try: a repeat would be read twice. */
  streamOutput(text: string): Promise<void>
  /** Plans tasks into the mission; when it resolves the attempt is over. */
  planTasks(name: string, tasks: readonly PlannableTask[]): Promise<void>
  /** Undefined when nothing was written under this key. */
  readContext(key: string): Promise<SharedValue | undefined>
  /** Answers the new version. */
  writeContext(key: string, value: unknown, ifVersion: number | undefined): Promise<number>
  putArtifact(name: string, bytes: Buffer, mediaType: string): Promise<Artifact>
  listArtifacts(): Promise<readonly Artifact[]>
  getArtifact(artifact: Artifact): Promise<Buffer>
}
