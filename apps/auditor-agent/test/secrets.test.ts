import { describe, expect, test } from 'vitest'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createAudit } from '../src/audit/audits.ts'
import { takeInventory } from '../src/audit/inventory/take-inventory.ts'
import { runAudits } from '../src/audit/run-audits.ts'
import { Project } from '../src/audit/source/project.ts'
import { auditKind, describeFinding, withRepository } from './support/repository.ts'
import type { Files } from './support/repository.ts'
import { GITHUB, RANDOM } from './secret-rows.ts'
import type { Row } from './secret-rows.ts'

const file = (name: string, path: string, text: string, ...found: string[]): Row => ({
  name,
  files: { [path]: text },
  found,
})

const PEM = [
  '-----BEGIN RSA PRIVATE KEY-----',
  'MIIEpAIBAAKCAQEA04up8hoqzS1+APIB0RhjXyObwHQnOzhAk5Bd7mhkSbPkyhP1',
  'iWlX9HNavcydATJc1hVjCzLW3RUAbLnuKjyhGlfEZNvGI3Ox3kbnXI5vIGTBGHyT',
  '-----END RSA PRIVATE KEY-----',
].join('\n')

const ROWS: readonly Row[] = [
  file(
    'YAML',
    'config/app.yaml',
    'server:\n  port: 80\n  jwt_secret: changethis\n',
    'default-secret P0 medium config/app.yaml:3',
  ),
  file(
    'YAML with a live value',
    'config/app.yaml',
    `api_key: "${RANDOM}"\n`,
    'hardcoded-secret P0 high config/app.yaml:1',
  ),
  file(
    'compose',
    'docker-compose.yml',
    'services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: postgres\n',
    'default-secret P1 medium docker-compose.yml:4',
  ),
  file(
    'compose, as a list',
    'compose.yaml',
    'services:\n  db:\n    environment:\n      - POSTGRES_PASSWORD=postgres\n      - TZ=UTC\n',
    'default-secret P1 medium compose.yaml:4',
  ),
  file(
    'compose with a fallback',
    'docker-compose.prod.yml',
    'services:\n  app:\n    environment:\n      JWT_SECRET: ${JWT_SECRET:-changethis}\n',
    'default-secret P0 high docker-compose.prod.yml:4',
  ),
  file(
    'a Kubernetes Secret',
    'k8s/secret.yaml',
    `apiVersion: v1\nkind: Secret\nstringData:\n  db: ${RANDOM}\n`,
    'hardcoded-secret P0 high k8s/secret.yaml:4',
  ),
  file(
    'a Kubernetes variable',
    'k8s/app.yaml',
    'env:\n  - name: JWT_SECRET\n    value: changeme\n',
    'default-secret P0 medium k8s/app.yaml:3',
  ),
  file(
    'JSON',
    'config/default.json',
    '{\n  "port": 80,\n  "jwtSecret": "changeme"\n}\n',
    'default-secret P0 medium config/default.json:3',
  ),
  file('TOML', 'config.toml', '[auth]\nsecret_key = "changeme"\n', 'default-secret P0 medium config.toml:2'),
  file(
    'INI with a URL',
    'alembic.ini',
    'sqlalchemy.url = postgresql://app:hunter77Zq@db.example.net/app\n',
    'credentials-in-url P0 high alembic.ini:1',
  ),
  file(
    'Dockerfile',
    'Dockerfile',
    'FROM python:3.13\nENV PORT=80 JWT_SECRET=changeme\n',
    'default-secret P0 medium Dockerfile:2',
  ),
  file('a private key', 'certs/server.key', `${PEM}\n`, 'private-key P0 high certs/server.key:1-4'),
  file(
    'a committed env file',
    '.env',
    'PORT=80\nJWT_SECRET=changeme\nAPI_KEY=abc\n',
    'committed-env-file P0 high .env:2',
  ),
  file(
    'an env file of production',
    'deploy/.env.production',
    `API_KEY=${RANDOM}\n`,
    'committed-env-file P0 high deploy/.env.production:1',
  ),
  file(
    'an env file of development',
    '.env.development',
    'JWT_SECRET=dev\n',
    'committed-env-file P1 medium .env.development:1',
  ),

  file(
    'Terraform',
    'main.tf',
    'resource "db" "a" {\n  password = "changeme"\n  admin_password = var.admin_password\n}\n',
    'default-secret P0 medium main.tf:2',
  ),
  file(
    'YAML that refers',
    'config/app.yaml',
    'jwt_secret: ${JWT_SECRET}\napi_key: "{{ .Values.apiKey }}"\npassword: !vault x\ntoken_url: /token\n',
  ),
  file(
    'compose that refers',
    'docker-compose.yml',
    'services:\n  app:\n    environment:\n      JWT_SECRET: ${JWT_SECRET:?set it}\n      - API_KEY\n',
  ),
  file('a pipeline', '.github/workflows/ci.yml', 'env:\n  POSTGRES_PASSWORD: postgres\n'),
  file('translations', 'src/locales/de.json', '{ "password": "Passwort", "secret": "geheim123" }\n'),
  file('an example env file', '.env.example', 'JWT_SECRET=changeme\nAPI_KEY=\n'),
  file('an env file without secrets', '.env', 'PORT=80\nLOG_LEVEL=info\nJWT_SECRET=\n'),
  file('placeholders in tests', 'tests/test_auth.py', 'JWT_SECRET = "changethis"\nx = os.getenv("API_KEY", "test")\n'),
  file('placeholders in documents', 'docs/setup.md', 'Set `JWT_SECRET=changethis` in `.env`.\n'),
  file(
    'a key in a test is worth a look',
    'tests/test_a.py',
    `KEY = "${GITHUB}"\n`,
    'vendor-key P2 medium tests/test_a.py:1',
  ),
]

describe('secrets', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('secrets', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })

  test('a live secret is never printed whole, a placeholder is', async () => {
    const { findings } = await auditKind('secrets', {
      'app/a.py': `API_TOKEN = "${RANDOM}"\nKEY = "${GITHUB}"\nJWT_SECRET = "changethis"\nURL = "postgres://a:${RANDOM}@h.example.net/x"\n`,
    })
    expect(findings).toHaveLength(4)
    const printed = JSON.stringify(findings)
    expect(printed).not.toContain(RANDOM)
    expect(printed).not.toContain(GITHUB)
    expect(printed).toContain('changethis')
    expect(findings[0]?.code).toBe('API_TOKEN = "9fK2mQ****"')
  })

  test('a secret beside a finding of another kind is masked as well', async () => {
    const { findings } = await auditKind('error-handling', {
      'src/a.ts': `await call('${GITHUB}').catch(() => {})\n`,
    })
    expect(findings).toHaveLength(1)
    expect(JSON.stringify(findings)).not.toContain(GITHUB)
  })
})

describe('env files and git', () => {
  const git = promisify(execFile)

  async function envFindings(files: Files, commands: readonly (readonly string[])[]): Promise<string[]> {
    return await withRepository(files, async (root) => {
      for (const command of commands)
        await git('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...command], { cwd: root })
      const inventory = await takeInventory(root)
      const [result] = await runAudits(inventory, [createAudit('secrets', new Project(inventory))])
      return (result?.findings ?? []).map(describeFinding)
    })
  }

  const FILES = { '.env': 'JWT_SECRET=changeme\n', '.gitignore': '.env\n' }

  test('an ignored env file stays private', async () => {
    expect(await envFindings(FILES, [['init', '-q']])).toEqual([])
  })

  test('an env file that was committed before it was ignored is found', async () => {
    const commands = [
      ['init', '-q'],
      ['add', '-f', '.env', '.gitignore'],
    ]
    expect(await envFindings(FILES, commands)).toEqual(['committed-env-file P0 high .env:1'])
  })

  test('the index of git is read in version 4 too', async () => {
    const commands = [
      ['init', '-q'],
      ['config', 'index.version', '4'],
      ['add', '-f', '.env', '.gitignore'],
    ]
    expect(await envFindings({ ...FILES, '.env.a': '', '.envrc': '' }, commands)).toEqual([
      'committed-env-file P0 high .env:1',
    ])
  })
})
