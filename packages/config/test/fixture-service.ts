import { Type } from '@sinclair/typebox'
import {
  ApiKey,
  JwtSecret,
  PostgresUrl,
  describeConfig,
  loadConfig,
  readExampleValues,
  runService,
} from '../src/index.ts'

/** A service of three lines, started as a process by run-service.test.ts. */
const Config = Type.Object({
  PORT: Type.Integer({ minimum: 1, maximum: 65_535, default: 7010 }),
  JWT_SECRET: JwtSecret(),
  DATABASE_URL: PostgresUrl(),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
})

await runService(async () => {
  await Promise.resolve()
  if (process.env['FAIL'] === 'yes') throw new Error('the port is taken')
  const config = loadConfig(Config, process.env, { exampleValues: readExampleValues(process.argv[2] ?? '') })
  process.stdout.write(`${JSON.stringify(describeConfig(config, Config))}\n`)
})
