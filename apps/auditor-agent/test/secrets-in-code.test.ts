import { describe, expect, test } from 'vitest'
import { auditKind, describeFinding } from './support/repository.ts'
import { GITHUB, RANDOM } from './secret-rows.ts'
import type { Row } from './secret-rows.ts'

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

// Put together here, so that no scanner takes this file for a leak.
const OPENAI = `sk-proj-${'Zx8Kq2Lm5Vb7Nc1Rt4Yw9Pd3Fg6Hj0Sa'}`
const STRIPE = `sk_live_${'4eC39HqLyjWDarjtT1zdp7dc'}`
const AWS = `AKIA${'Q3EGR7TZVW5KXNPL'}`

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
]

describe('secrets', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('secrets', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })
})
