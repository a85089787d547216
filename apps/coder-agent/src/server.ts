import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { Type } from '@sinclair/typebox'
import { serve } from '@hypercode/base-agent'
import { ApiKey, ConfigError, HttpUrl, loadConfig, runService } from '@hypercode/config'
import { findSandbox } from '@hypercode/sandbox'
import { createCoder } from './agent.ts'
import type { ModelSettings } from './model/model-settings.ts'

/** On top of what every agent reads. */
const CoderConfig = Type.Object({
  MODEL_BASE_URL: Type.Optional(HttpUrl()),
  MODEL_NAME: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
  MODEL_INPUT_USD_PER_MTOK: Type.Optional(Type.Number({ minimum: 0, maximum: 10_000 })),
  MODEL_OUTPUT_USD_PER_MTOK: Type.Optional(Type.Number({ minimum: 0, maximum: 10_000 })),
  MODEL_TRIES: Type.Integer({ minimum: 1, maximum: 20, default: 5 }),
  MODEL_PAUSE_MAX_MS: Type.Integer({ minimum: 1, maximum: 600_000, default: 30_000 }),
  CODER_WORK_DIR: Type.String({ minLength: 1, default: '.hypercode/coder' }),
  CODER_MAX_TURNS: Type.Integer({ minimum: 1, maximum: 1000, default: 60 }),
  CODER_MAX_TOKENS: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 2_000_000 }),
  CODER_MAX_USD: Type.Number({ minimum: 0, maximum: 10_000, default: 5 }),
  CODER_MAX_MS: Type.Integer({ minimum: 1000, maximum: 86_400_000, default: 1_800_000 }),
  CODER_COMMAND_MAX_MS: Type.Integer({ minimum: 1000, maximum: 600_000, default: 300_000 }),
  CODER_FILES_MAX: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 20_000 }),
  CODER_BYTES_MAX: Type.Integer({ minimum: 1, maximum: 10_000_000_000, default: 268_435_456 }),
  SANDBOX_BWRAP: Type.Optional(Type.String({ minLength: 1 })),
})

/** A file that is larger is no source. */
const FILE_MAX_BYTES = 8 * 1024 * 1024

// Warnings of the AI SDK would go to the console, beside the log.
globalThis.AI_SDK_LOG_WARNINGS = false

await runService(async () => {
  const config = loadConfig(CoderConfig, process.env)
  const workDir = path.resolve(config.CODER_WORK_DIR)
  mkdirSync(workDir, { recursive: true, mode: 0o700 })
  const { SANDBOX_BWRAP } = config
  const coder = createCoder({
    model: modelOf(config),
    sandbox: await findSandbox(SANDBOX_BWRAP === undefined ? {} : { path: SANDBOX_BWRAP }),
    workDir: realpathSync(workDir),
    path: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    limits: {
      turns: config.CODER_MAX_TURNS,
      tokens: config.CODER_MAX_TOKENS,
      usd: config.CODER_MAX_USD,
      ms: config.CODER_MAX_MS,
    },
    commandMaxMs: config.CODER_COMMAND_MAX_MS,
    snapshot: { filesMax: config.CODER_FILES_MAX, bytesMax: config.CODER_BYTES_MAX, fileBytesMax: FILE_MAX_BYTES },
  })
  await serve(coder)
})

function modelOf(config: ReturnType<typeof loadConfig<typeof CoderConfig>>): ModelSettings | undefined {
  const { MODEL_BASE_URL, MODEL_NAME, OPENAI_API_KEY, MODEL_INPUT_USD_PER_MTOK, MODEL_OUTPUT_USD_PER_MTOK } = config
  const priced = MODEL_INPUT_USD_PER_MTOK !== undefined && MODEL_OUTPUT_USD_PER_MTOK !== undefined
  if (!priced && (MODEL_INPUT_USD_PER_MTOK ?? MODEL_OUTPUT_USD_PER_MTOK) !== undefined) {
    const variable = `MODEL_${MODEL_INPUT_USD_PER_MTOK === undefined ? 'INPUT' : 'OUTPUT'}_USD_PER_MTOK`
    throw new ConfigError([
      { variable, problem: 'is not set, and the other price is', fix: 'set both prices, or none' },
    ])
  }
  if (MODEL_BASE_URL === undefined || MODEL_NAME === undefined) return undefined
  return {
    baseUrl: MODEL_BASE_URL,
    name: MODEL_NAME,
    ...(OPENAI_API_KEY !== undefined && { apiKey: OPENAI_API_KEY }),
    ...(priced && { prices: { inputUsd: MODEL_INPUT_USD_PER_MTOK, outputUsd: MODEL_OUTPUT_USD_PER_MTOK } }),
    patience: { tries: config.MODEL_TRIES, firstPauseMs: 1000, pauseMaxMs: config.MODEL_PAUSE_MAX_MS },
  }
}
