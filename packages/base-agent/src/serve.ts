import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { ApiKey, HttpUrl, Secret, loadConfig, runService } from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { listenUntilSignal } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import { StringEnum } from '@hypercode/contracts'
import { createChassis } from './chassis.ts'
import type { Agent } from './define-agent.ts'
import type { AgentSettings } from './settings.ts'
import { createRuntime } from './start-agent.ts'

/** The variables that every agent reads. */
export const AgentConfig = Type.Object({
  HYPERCODE_URL: HttpUrl({ default: 'http://127.0.0.1:7000' }),
  HYPERCODE_CLIENT_ID: Type.String({ minLength: 1 }),
  HYPERCODE_CLIENT_SECRET: Secret(),
  HYPERCODE_INSTANCE: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })),
  HOST: Type.String({ default: '127.0.0.1' }),
  AGENT_PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 0 }),
  AGENT_SLOTS: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  DRAIN_MS: Type.Integer({ minimum: 0, maximum: 3_600_000, default: 10_000 }),
  LOG_LEVEL: StringEnum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'], { default: 'info' }),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
})
export type AgentConfig = Readonly<Static<typeof AgentConfig>>

export interface ServeOptions {
  /** Where the settings come from; `process.env` by default. */
  readonly env?: Env
}

/**
 * Runs an agent as a process of its own: health, metrics and card over HTTP, registration, beats, claims, and a drain on
 * SIGTERM or SIGINT that ends with exit code 0. Resolves when it listens; registration goes on behind it.
 *
 * Exit codes: 78 when the configuration is refused, 1 when the platform refuses the agent or when a newer process has taken
 * over its identity.
 */
export async function serve(agent: Agent, options: ServeOptions = {}): Promise<void> {
  await runService(async () => {
    // The one place of the package that reads the environment: an agent file is the whole program.
    // oxlint-disable-next-line node/no-process-env -- see above
    const config = loadConfig(AgentConfig, options.env ?? process.env)
    const { HYPERCODE_CLIENT_SECRET, OPENAI_API_KEY } = config
    const log = createLogger({
      service: agent.card.name,
      level: config.LOG_LEVEL,
      secrets: [HYPERCODE_CLIENT_SECRET, OPENAI_API_KEY],
    })
    await run(agent, config, log)
  })
}

async function run(agent: Agent, config: AgentConfig, log: Logger): Promise<void> {
  const metrics = createMetrics(agent.card.name)
  const { runtime, close } = createRuntime(agent, { ...settingsOf(config), logger: log, metrics })
  const app = await createChassis({ agent, log, metrics, connected: () => runtime.connected })
  runtime.ended.then(
    (end) => {
      if (end === 'fenced') exit(log, 'another process has registered with the identity of this one; give each its own')
    },
    (error: unknown) => exit(log, error instanceof Error ? error.message : String(error)),
  )
  const address = await listenUntilSignal(app, {
    host: config.HOST,
    port: config.AGENT_PORT,
    drainMs: config.DRAIN_MS + LAST_WORDS_MS,
    log,
    onDrain: () => runtime.stop(),
    onClosed: close,
  })
  log.info({ address, platform: config.HYPERCODE_URL, slots: config.AGENT_SLOTS ?? agent.slots }, 'serving')
}

/** Nothing is left to finish: what runs is told already, and nothing of it would be accepted. */
function exit(log: Logger, why: string): never {
  log.fatal({ exitCode: 1 }, why)
  process.exit(1)
}

function settingsOf(config: AgentConfig): AgentSettings {
  const { HYPERCODE_INSTANCE, AGENT_SLOTS } = config
  return {
    url: config.HYPERCODE_URL,
    clientId: config.HYPERCODE_CLIENT_ID,
    clientSecret: config.HYPERCODE_CLIENT_SECRET,
    drainMs: config.DRAIN_MS,
    ...(HYPERCODE_INSTANCE !== undefined && { instance: HYPERCODE_INSTANCE }),
    ...(AGENT_SLOTS !== undefined && { slots: AGENT_SLOTS }),
  }
}

/** For handlers to end after they were told to, and for the last calls to the platform, on top of the drain itself. */
const LAST_WORDS_MS = 10_000
