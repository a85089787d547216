import type { Place, Rule } from '../rule.ts'
import type { SyntaxNode } from '../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonString } from '../source/python.ts'
import type { PythonArguments } from '../source/python.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { enclosing, spanOf } from '../source/spans.ts'
import { CONNECTION_PER_CALL, NO_POOL_LIMIT } from './rules.ts'

export interface Hit {
  readonly rule: Rule
  readonly place: Place
  /** Counts only if nothing in the repository sets this limit elsewhere (in a URL, in the settings). */
  readonly unless?: 'connection_limit' | 'engine options'
}

/** How one way to reach a database is bounded. */
interface Client {
  /** Package that the file must import. */
  readonly from: readonly string[]
  readonly callee: RegExp
  /** Any of these arguments bounds it. */
  readonly limits: readonly string[]
  readonly title: string
  readonly fix: string
  readonly confidence?: Place['confidence']
  readonly priority?: Place['priority']
  readonly unless?: Hit['unless']
}

const CLIENTS: readonly Client[] = [
  {
    from: ['sqlalchemy', 'sqlmodel'],
    callee: /^(\w+\.)*create_(async_)?engine$/,
    limits: ['pool_size', 'poolclass', 'pool', 'creator', 'max_overflow'],
    title: 'SQLAlchemy engine without pool_size',
    fix: 'Pass pool_size and max_overflow (and pool_timeout) from the settings.',
  },
  {
    from: ['asyncpg'],
    callee: /^(asyncpg\.)?create_pool$/,
    limits: ['max_size'],
    title: 'asyncpg pool without max_size',
    fix: 'Pass max_size from the settings.',
  },
  {
    from: ['psycopg_pool'],
    callee: /^(psycopg_pool\.)?(Async)?(Null)?ConnectionPool$/,
    limits: ['max_size'],
    title: 'psycopg pool without max_size',
    fix: 'Pass max_size from the settings.',
  },
  {
    from: ['aiomysql', 'aiopg', 'asyncmy'],
    callee: /^\w+\.create_pool$/,
    limits: ['maxsize'],
    title: 'Database pool without maxsize',
    fix: 'Pass maxsize from the settings.',
  },
  {
    from: ['databases'],
    callee: /^(databases\.)?Database$/,
    limits: ['max_size'],
    title: 'Database client without max_size',
    fix: 'Pass min_size and max_size from the settings.',
  },
  {
    from: ['flask_sqlalchemy'],
    callee: /^(flask_sqlalchemy\.)?SQLAlchemy$/,
    limits: ['engine_options'],
    title: 'Flask-SQLAlchemy without engine options',
    fix: 'Set pool_size and max_overflow in SQLALCHEMY_ENGINE_OPTIONS.',
    confidence: 'medium',
    unless: 'engine options',
  },
  {
    from: ['pymongo', 'motor'],
    callee: /^(\w+\.)*(AsyncIO)?(Async)?(Motor|Mongo)+Client$/,
    limits: ['maxPoolSize'],
    title: 'Mongo client without maxPoolSize',
    fix: 'Pass maxPoolSize (and waitQueueTimeoutMS) from the settings.',
    confidence: 'medium',
    priority: 'P2',
  },
  {
    from: ['redis', 'aioredis'],
    callee:
      /^(\w+\.)*((Blocking)?ConnectionPool(\.from_url)?|(Strict)?Redis(\.from_url)?|(redis|aioredis)(\.asyncio)?\.from_url)$/,
    limits: ['max_connections', 'connection_pool'],
    title: 'Redis client without max_connections',
    fix: 'Pass max_connections, or a BlockingConnectionPool with a bound.',
    confidence: 'medium',
    priority: 'P2',
  },
]

const DIRECT =
  /^(psycopg2|psycopg|pymysql|MySQLdb|mysql\.connector|asyncpg|aiomysql|asyncmy|pymssql|pyodbc|cx_Oracle|oracledb|psycopg\.AsyncConnection|psycopg\.Connection)\.connect(_async)?$/
const DIRECT_PACKAGES = [
  'psycopg2',
  'psycopg',
  'pymysql',
  'MySQLdb',
  'mysql',
  'asyncpg',
  'aiomysql',
  'asyncmy',
  'pymssql',
  'pyodbc',
  'cx_Oracle',
  'oracledb',
]

/** Clients that a file makes without saying how many connections they may hold. */
export function pythonHits(file: SourceFile): Hit[] {
  const { packages } = file.pythonImports
  const clients = CLIENTS.filter(({ from }) => from.some((name) => packages.has(name)))
  const opensDirectly = DIRECT_PACKAGES.some((name) => packages.has(name))
  if (clients.length === 0 && !opensDirectly) return []
  const calls = file.nodes('call')
  const bounded = calls.flatMap((call) => clients.flatMap((client) => clientHit(client, call)))
  return [...bounded, ...(opensDirectly ? directHits(file, calls) : [])]
}

function clientHit(client: Client, call: SyntaxNode): Hit[] {
  if (!client.callee.test(pythonCallee(call))) return []
  const given = pythonArguments(call)
  if (given.splat || client.limits.some((name) => given.named.has(name)) || isEmbedded(given)) return []
  return [
    {
      rule: NO_POOL_LIMIT,
      place: {
        ...linesOf(call),
        title: client.title,
        recommendation: `${client.fix} ${NO_POOL_LIMIT.recommendation}`,
        ...(client.confidence !== undefined && { confidence: client.confidence }),
        ...(client.priority !== undefined && { priority: client.priority }),
      },
      ...(client.unless !== undefined && { unless: client.unless }),
    },
  ]
}

/** SQLite has no server to protect; a URL may carry the limit itself. */
function isEmbedded({ positional, named }: PythonArguments): boolean {
  const url = pythonString(positional[0] ?? named.get('url') ?? named.get('dsn') ?? null)
  return url !== undefined && /^sqlite|[?&](max_connections|maxPoolSize|pool_size|max_size)=/i.test(url)
}

function directHits(file: SourceFile, calls: readonly SyntaxNode[]): Hit[] {
  const found = calls.filter((call) => DIRECT.test(qualified(file, call)))
  const spans = file.nodes('function_definition').map((node) => spanOf(node, node.field('name')?.text() ?? ''))
  const around = enclosing(
    spans,
    found.map((call) => call.range().start.index),
  )
  return found.map((call, index) => {
    const inside = around[index]?.at(-1)
    const name = lastName(qualified(file, call).replace(/\.connect.*$/, ''))
    const isOnce =
      inside === undefined ||
      /^(__init__|__aenter__|__enter__|main|setup|startup|lifespan|init\w*|on_startup|get_pool|create_pool)$/.test(
        inside,
      )
    const weak = { priority: 'P2', confidence: 'low', title: `One ${name} connection without a pool` } as const
    const strong = { title: `A ${name} connection is opened in ${inside ?? ''}()` }
    return { rule: CONNECTION_PER_CALL, place: { ...linesOf(call), ...(isOnce ? weak : strong) } }
  })
}

/** The callee with an imported name or alias replaced by what it stands for. */
function qualified(file: SourceFile, call: SyntaxNode): string {
  const callee = pythonCallee(call)
  const [head = '', ...rest] = callee.split('.')
  const source = file.pythonImports.names.get(head)
  if (source === undefined) return callee
  const full =
    source.symbol === undefined ? (source.module === head ? head : source.module) : `${source.module}.${source.symbol}`
  return [full, ...rest].join('.')
}

/** Where Prisma's Python client is made and where it connects, by name of the variable that holds it. */
export interface PrismaUse {
  readonly made: readonly { readonly name: string; readonly place: Place }[]
  readonly connects: readonly { readonly name: string; readonly place: Place }[]
}

export function prismaUse(file: SourceFile): PrismaUse {
  if (!/prisma|\.connect\(/i.test(file.text)) return { made: [], connects: [] }
  const imported = file.pythonImports.packages.has('prisma')
  const made = imported
    ? file.nodes('assignment').flatMap((node) => {
        const call = node.field('right')
        if (call?.kind() !== 'call' || lastName(pythonCallee(call)) !== 'Prisma') return []
        return [{ name: pythonName(node.field('left')), place: linesOf(call) }]
      })
    : []
  const connects = file.nodes('call').flatMap((call) => {
    const callee = pythonCallee(call)
    if (lastName(callee) !== 'connect' || !callee.includes('.')) return []
    return [{ name: callee.slice(0, callee.lastIndexOf('.')), place: linesOf(call) }]
  })
  return { made, connects }
}

/** Django opens a connection per request and thread unless CONN_MAX_AGE or a pool says otherwise. */
export function djangoDatabases(file: SourceFile): Hit[] {
  if (!file.text.includes('DATABASES')) return []
  return file.nodes('assignment').flatMap((node) => {
    const value = node.field('right')
    if (node.field('left')?.text() !== 'DATABASES' || value?.kind() !== 'dictionary') return []
    const text = value.text()
    if (/CONN_MAX_AGE|["']pool["']|sqlite3|\*\*|dj_database_url/.test(text)) return []
    const { line } = linesOf(node)
    return [
      {
        rule: NO_POOL_LIMIT,
        place: {
          line,
          endLine: line,
          title: 'Django opens a database connection per request',
          priority: 'P2',
          confidence: 'medium',
          recommendation: 'Set CONN_MAX_AGE, or OPTIONS["pool"] with a maximum, or put PgBouncer in front.',
        },
      },
    ]
  })
}
