import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ConfigError, exitOnConfigError, generateSecret } from '../src/index.ts'
import { BAD_VALUES } from './bad-values.ts'

const service = fileURLToPath(new URL('fixture-service.ts', import.meta.url))
const example = fileURLToPath(new URL('../../../.env.example', import.meta.url))

type Boot = { code: number | null; stdout: string; stderr: string }

/** Starts the service as a process of its own and waits for its end. */
async function boot(env: Record<string, string>): Promise<Boot> {
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', service, example], { env })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject))
  return { code, ...output }
}

const good = (): Record<string, string> => ({
  JWT_SECRET: generateSecret(),
  DATABASE_URL: `postgres://app:${generateSecret(24)}@127.0.0.1:6432/hypercode`,
})

describe('a service that is started as a process', { timeout: 60_000 }, () => {
  test('runs with good secrets and does not show them', async () => {
    const env = good()
    const { code, stdout, stderr } = await boot(env)
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toMatchObject({ PORT: 7010, JWT_SECRET: '[secret]' })
    expect(stdout).not.toContain(env['JWT_SECRET'])
  })

  const values = [
    'seed: changethis',
    'seed: sk-placeholder-key',
    'blank',
    'one char',
    'repeated word',
    'trailing newline',
    'short',
  ]
  test.each(values)('exits with 78 and one JSON line for a bad secret: %s', async (name) => {
    const bad = BAD_VALUES[name] ?? ''
    const { code, stdout, stderr } = await boot({
      ...good(),
      JWT_SECRET: bad,
      OPENAI_API_KEY: 'sk-placeholder-key',
      PORT: '7o1o',
    })
    expect([code, stdout]).toEqual([78, ''])
    const line = JSON.parse(stderr) as { level: string; problems: { variable: string }[] }
    expect(line.level).toBe('fatal')
    const named = new Set(line.problems.map(({ variable }) => variable))
    expect(named).toEqual(new Set(['PORT', 'JWT_SECRET', 'OPENAI_API_KEY']))
    for (const value of ['sk-placeholder-key', '7o1o', bad.trim()])
      if (value !== '') expect(stderr).not.toContain(value)
  })

  test('exits with 78 when the example file is its environment', async () => {
    const { code, stderr } = await boot({
      JWT_SECRET: 'changethis',
      DATABASE_URL: 'postgres://hypercode:changethis@127.0.0.1:6432/hypercode',
    })
    expect(code).toBe(78)
    expect(stderr).toContain('still has the value that .env.example shows')
    expect(stderr).not.toContain('changethis')
  })

  test('leaves another failure alone', async () => {
    const { code, stderr } = await boot({ ...good(), FAIL: 'yes' })
    expect(code).toBe(1)
    expect(stderr).toContain('the port is taken')
  })

  test('tells a person in text on a terminal', async () => {
    // script(1) gives the process a terminal; its exit code is the one of the process.
    const command = `${process.execPath} --conditions=@hypercode/source ${service} ${example}`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...good(), JWT_SECRET: 'changethis', PATH: '/usr/bin:/bin' },
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject))
    expect(code).toBe(78)
    expect(output).toContain('  JWT_SECRET\r\n    is a well-known stand-in')
    expect(output).toContain('fix: set it to the output of: openssl rand -base64 48')
    expect(output).not.toContain('changethis')
  })
})

test('exitOnConfigError returns for any other error', () => {
  expect(exitOnConfigError(new Error('weather'))).toBeUndefined()
  expect(new ConfigError([]).exitCode).toBe(78)
})
