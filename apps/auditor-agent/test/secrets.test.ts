import { describe, expect, test } from 'vitest'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createAudit } from '../src/audit/audits.ts'
import { takeInventory } from '../src/audit/inventory/take-inventory.ts'
import { runAudits } from '../src/audit/run-audits.ts'
import { Project } from '../src/audit/source/project.ts'
import { auditKind, describeFinding, withRepository } from './support/repository.ts'
import type { Files } from './support/repository.ts'

interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
}

const python = (name: string, code: string, ...found: string[]): Row => ({
  name,
  files: { 'app/config.py': code },
  found,
})
const script = (name: string, code: string, ...found: string[]): Row => ({
  name,
  files: { 'src/config.ts': code },
  found,
})
const file = (name: string, path: string, text: string, ...found: string[]): Row => ({
  name,
  files: { [path]: text },
  found,
})

// Put together here, so that no scanner takes this file for a leak.
const RANDOM = ['9fK2mQ8x', 'Lw4ZrT7v', 'Bn3YpJ6c'].join('')
const GITHUB = `ghp_${'aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD2fG5'}`
const OPENAI = `sk-proj-${'Zx8Kq2Lm5Vb7Nc1Rt4Yw9Pd3Fg6Hj0Sa'}`
const STRIPE = `sk_live_${'4eC39HqLyjWDarjtT1zdp7dc'}`
const AWS = `AKIA${'Q3EGR7TZVW5KXNPL'}`
const PEM = [
  '-----BEGIN RSA PRIVATE KEY-----',
  'MIIEpAIBAAKCAQEA04up8hoqzS1+APIB0RhjXyObwHQnOzhAk5Bd7mhkSbPkyhP1',
  'iWlX9HNavcydATJc1hVjCzLW3RUAbLnuKjyhGlfEZNvGI3Ox3kbnXI5vIGTBGHyT',
  '-----END RSA PRIVATE KEY-----',
].join('\n')

const ROWS: readonly Row[] = [
  python(
    'annotated fields of a settings class',
    `
    class Settings(BaseSettings):
        APP_NAME: str = "HyperCode"
        JWT_SECRET: str = "changethis"
        OPENAI_API_KEY: str = "sk-placeholder-key"
    `,
    'default-secret P0 high app/config.py:3',
    'default-secret P0 high app/config.py:4',
  ),
  python(
    'Field(default=…)',
    'class S(BaseSettings):\n    jwt_secret: str = Field(default="changeme", alias="JWT")\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'Field("…")',
    'class S(BaseSettings):\n    api_key: str = Field("dev-key", description="key of the API")\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'SecretStr',
    'class S(BaseSettings):\n    db_password: SecretStr = SecretStr("postgres")\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'a value that is no placeholder',
    'class S(BaseSettings):\n    JWT_SECRET: str = "hyperfocus-zone"\n',
    'default-secret P0 medium app/config.py:2',
  ),
  python(
    'os.getenv with a default',
    'import os\nSECRET = os.getenv("JWT_SECRET", "secret")\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'os.environ.get with a default',
    'import os\nx = os.environ.get("API_KEY", default="local")\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'os.getenv(…) or',
    'import os\nJWT_SECRET = os.getenv("JWT_SECRET") or "dev-secret"\n',
    'default-secret P0 high app/config.py:2',
  ),
  python(
    'decouple',
    'SECRET_KEY = config("SECRET_KEY", default="insecure")\n',
    'default-secret P0 high app/config.py:1',
  ),
  python(
    'SECRET_KEY of Django',
    `SECRET_KEY = 'django-insecure-${RANDOM}'\n`,
    'default-secret P0 high app/config.py:1',
  ),
  python('app.config of Flask', 'app.config["SECRET_KEY"] = "dev"\n', 'default-secret P0 high app/config.py:1'),
  python('app.secret_key', 'app.secret_key = "super secret key"\n', 'default-secret P0 high app/config.py:1'),
  python('a random literal', `API_TOKEN = "${RANDOM}"\n`, 'hardcoded-secret P0 high app/config.py:1'),
  python('a keyword argument', 'connect(host="db", password="admin123")\n', 'default-secret P0 medium app/config.py:1'),
  python(
    'a dictionary',
    'OPTIONS = {"user": "x", "password": "admin123"}\n',
    'default-secret P0 medium app/config.py:1',
  ),
  python(
    'the default of a parameter',
    'def connect(host, password="changeme"):\n    pass\n',
    'default-secret P0 medium app/config.py:1',
  ),
  python(
    'the key of jwt.encode',
    'token = jwt.encode(payload, "mykey", algorithm="HS256")\n',
    'default-secret P0 high app/config.py:1',
  ),
  python('bytes for Fernet', 'box = Fernet(b"secret")\n', 'default-secret P0 high app/config.py:1'),
  python(
    'a URL with a live password',
    `DATABASE_URL = "postgresql://app:${RANDOM}@db.prod.example.net/app"\n`,
    'credentials-in-url P0 high app/config.py:1',
  ),
  python(
    'a URL with a default password',
    'x = os.getenv("DATABASE_URL", "postgresql://postgres:postgres@localhost/app")\n',
    'credentials-in-url P1 medium app/config.py:1',
  ),
  python('a key of GitHub', `HEADERS = {"Authorization": "token ${GITHUB}"}\n`, 'vendor-key P0 high app/config.py:1'),
  python(
    'a key of OpenAI as a default',
    `class S(BaseSettings):\n    OPENAI_API_KEY: str = "${OPENAI}"\n`,
    'vendor-key P0 high app/config.py:2',
  ),
  python('a key of AWS', `aws = "${AWS}"\n`, 'vendor-key P0 high app/config.py:1'),

  python(
    'a plain KEY of the environment',
    'import os\nx = os.getenv("KEY", "secret")\n',
    'default-secret P0 medium app/config.py:2',
  ),
  python(
    'a live header',
    `HEADERS = {"Authorization": "Bearer ${RANDOM}"}\n`,
    'hardcoded-secret P0 high app/config.py:1',
  ),

  python('a plain key elsewhere', 'key = "changeme"\nHEADERS = {"Authorization": f"Bearer {token}", "Accept": "x"}\n'),
  python(
    'no default',
    'class S(BaseSettings):\n    JWT_SECRET: str\n    API_KEY: str | None = None\n    OTHER_SECRET: str = Field(..., min_length=32)\n',
  ),
  python('an empty default', 'class S(BaseSettings):\n    JWT_SECRET: str = ""\nx = os.getenv("API_KEY", "")\n'),
  python(
    'names about secrets',
    'TOKEN_URL = "/oauth/token"\nSECRET_NAME = "prod-db"\nPASSWORD_FIELD = "password"\nSECRET_KEY_PATH = "secrets"\nTOKEN_TYPE = "bearer"\nPASSWORD_HASH_ALGORITHM = "argon2"\nMAX_TOKENS = "100"\n',
  ),
  python('a name again', 'PASSWORD = "password"\nACCESS_TOKEN = "access_token"\nclass E(Enum):\n    TOKEN = "token"\n'),
  python(
    'a header',
    'API_KEY = "X-API-Key"\nsecurity = APIKeyHeader(name="X-API-Key")\noauth = OAuth2PasswordBearer(tokenUrl="token")\n',
  ),
  python(
    'messages',
    'INVALID_PASSWORD = "wrong"\nx = {"password": "Please enter your current one"}\nraise ValueError("secret changethis is refused")\n',
  ),
  python(
    'a value from elsewhere',
    'JWT_SECRET = settings.jwt_secret\nAPI_KEY = os.environ["API_KEY"]\npassword = f"{prefix}secret"\n',
  ),
  python('a check of the placeholder', 'if settings.JWT_SECRET == "changethis":\n    raise SystemExit(78)\n'),
  python('a regular expression', 'PASSWORD_PATTERN = "^[a-z]{8,}$"\nSECRET = re.compile("secret")\n'),
  python(
    'a URL without a real password',
    'x = "postgresql://{user}:{password}@{host}/db"\ny = "https://user:pass@example.com"\nz = "driver://user:pass@localhost/db"\n',
  ),
  python('a token of a parser', 'token = "IDENT"\nself.token = "EOF"\n'),
  python('a local variable that is reset', 'def f():\n    password = "x"\n'),

  script(
    '?? with a default',
    "export const secret = process.env.JWT_SECRET ?? 'dev'\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    '|| with a default',
    "const key = process.env['API_KEY'] || 'changeme'\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'a ternary',
    "const s = process.env.SESSION_SECRET ? process.env.SESSION_SECRET : 'local'\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'a destructured default',
    "const { JWT_SECRET = 'dev' } = process.env\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'zod',
    "const env = z.object({ JWT_SECRET: z.string().default('supersecret') })\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'TypeBox',
    "const Env = Type.Object({ JWT_SECRET: Type.String({ default: 'changethis' }) })\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'ConfigService of Nest',
    "const s = this.configService.get('JWT_SECRET', 'dev')\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script('a constant', "export const JWT_SECRET = 'my-secret'\n", 'default-secret P0 high src/config.ts:1'),
  script(
    'an option of a plugin',
    "app.register(jwt, { secret: 'supersecret' })\n",
    'default-secret P0 medium src/config.ts:1',
  ),
  script('keyboard cat', "app.use(session({ secret: 'keyboard cat' }))\n", 'default-secret P0 medium src/config.ts:1'),
  script(
    'the key of jwt.sign',
    "const token = jwt.sign(payload, 'secret')\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script(
    'the key of createHmac',
    `const mac = createHmac('sha256', '${RANDOM}')\n`,
    'hardcoded-secret P0 high src/config.ts:1',
  ),
  script(
    'a field of a class',
    "class A {\n  private readonly apiKey = 'dev-key'\n}\n",
    'default-secret P0 high src/config.ts:2',
  ),
  script(
    'a default of a parameter',
    "function sign(data: string, secret = 'changeme') {}\n",
    'default-secret P0 medium src/config.ts:1',
  ),
  script(
    'encoded',
    "const JWT_SECRET = new TextEncoder().encode('changeme')\n",
    'default-secret P0 high src/config.ts:1',
  ),
  script('a key of Stripe', `const stripe = new Stripe('${STRIPE}')\n`, 'vendor-key P0 high src/config.ts:1'),
  script(
    'a URL with a live password',
    `const url = 'redis://:${RANDOM}@cache.internal.net:6379'\n`,
    'credentials-in-url P0 high src/config.ts:1',
  ),

  script(
    'a plain KEY of the environment',
    "const k = process.env.KEY ?? 'dev'\n",
    'default-secret P0 medium src/config.ts:1',
  ),
  script(
    'made at run time',
    "const secret = randomBytes(48).toString('base64url')\nconst x = { clientSecret: randomBytes(32).toString('hex') }\n",
  ),
  script('a URL in a text for people', "const HINT = 'use redis://:PASSWORD@HOST:6379/0 (rediss:// for TLS)'\n"),
  script(
    'read from the environment',
    'const secret = process.env.JWT_SECRET\nconst key = required(process.env.API_KEY)\n',
  ),
  script(
    'a default of another variable',
    "const port = process.env.PORT ?? '3000'\nconst url = process.env.TOKEN_URL ?? 'https://id.example.com/token'\n",
  ),
  script('an empty default', "const secret = process.env.JWT_SECRET ?? ''\n"),
  script(
    'types and enums',
    "type Kind = 'password' | 'secret'\nenum Field { Token = 'token', Secret = 'changeme' }\ninterface A { password: 'secret' }\n",
  ),
  script(
    'texts of a form',
    "const labels = { password: 'Password', confirmPassword: 'Repeat it', token: 'auth.token.label' }\nconst rules = { password: 'required|min:8' }\n",
  ),
  script(
    'names of cookies and headers',
    "const SESSION_TOKEN = 'session_token'\nconst API_KEY_HEADER = 'x-api-key'\nconst TOKEN = 'next-auth.session-token'\n",
  ),
  script('an injection token', "export const JWT_SECRET = 'JWT_SECRET'\n"),
  script(
    'a schema',
    "const Login = Type.Object({ password: Type.String({ minLength: 8, description: 'the secret' }) })\n",
  ),
  script('an attribute of a field', "const field = { type: 'password', autocomplete: 'current-password' }\n"),
  script('a template with a substitution', 'const url = `postgres://app:${password}@db/app`\n'),
  script(
    'example keys of documentation',
    '// AKIAIOSFODNN7EXAMPLE, ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nconst a = 1\n',
  ),

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
