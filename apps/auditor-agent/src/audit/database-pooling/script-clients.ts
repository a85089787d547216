import type { Place } from '../rule.ts'
import type { SyntaxNode } from '../source/parse.ts'
import {
  FUNCTION_KINDS,
  objectLiteral,
  scriptArguments,
  scriptCallee,
  scriptName,
  scriptString,
  unwrap,
} from '../source/script.ts'
import type { ObjectLiteral } from '../source/script.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { enclosing, spanOf } from '../source/spans.ts'
import type { Hit } from './python-clients.ts'
import { CONNECTION_PER_CALL, NO_POOL_LIMIT } from './rules.ts'

interface Client {
  readonly from: RegExp
  readonly callee: RegExp
  /** Any of these properties, anywhere in the options, bounds it. */
  readonly limits: RegExp
  readonly title: string
  readonly fix: string
  readonly confidence?: Place['confidence']
  readonly unless?: Hit['unless']
}

const CLIENTS: readonly Client[] = [
  {
    from: /^(pg|pg-pool|@neondatabase\/serverless)$/,
    callee: /^(\w+\.)*(Pg|Pool)+$/,
    limits: /^max$/,
    title: 'pg pool without max',
    fix: 'Pass max from the settings.',
  },
  {
    from: /^(@prisma\/client|.*\/generated\/prisma.*|.*prisma\/client.*)$/,
    callee: /^PrismaClient$/,
    limits: /^adapter$/,
    title: 'Prisma client without connection_limit',
    fix: 'Add connection_limit and pool_timeout to DATABASE_URL.',
    unless: 'connection_limit',
  },
  {
    from: /^knex$/,
    callee: /^(knex|Knex)(\.knex)?$/,
    limits: /^pool$/,
    title: 'Knex without pool settings',
    fix: 'Set pool: { min, max } from the settings.',
  },
  {
    from: /^(sequelize|sequelize-typescript)$/,
    callee: /^(\w+\.)*Sequelize$/,
    limits: /^pool$/,
    title: 'Sequelize without pool settings',
    fix: 'Set pool: { max, acquire, idle } from the settings.',
  },
  {
    from: /^(typeorm|@nestjs\/typeorm)$/,
    callee: /^((\w+\.)*DataSource|createConnection|TypeOrmModule\.forRoot(Async)?)$/,
    limits: /^(poolSize|extra|connectionLimit|pool)$/,
    title: 'TypeORM data source without a pool size',
    fix: 'Set poolSize (or extra.max) from the settings.',
  },
  {
    from: /^(mongoose|@nestjs\/mongoose)$/,
    callee: /^(mongoose\.(connect|createConnection)|MongooseModule\.forRoot(Async)?)$/,
    limits: /^(maxPoolSize|poolSize)$/,
    title: 'Mongoose without maxPoolSize',
    fix: 'Set maxPoolSize from the settings.',
    confidence: 'medium',
  },
  {
    from: /^mongodb$/,
    callee: /^(\w+\.)*MongoClient$/,
    limits: /^maxPoolSize$/,
    title: 'Mongo client without maxPoolSize',
    fix: 'Set maxPoolSize from the settings.',
    confidence: 'medium',
  },
  {
    from: /^(mysql|mysql2|mysql2\/promise|mariadb)$/,
    callee: /^(\w+\.)*createPool$/,
    limits: /^connectionLimit$/,
    title: 'MySQL pool without connectionLimit',
    fix: 'Set connectionLimit from the settings.',
  },
  {
    from: /^postgres$/,
    callee: /^(postgres|sql)$/,
    limits: /^max$/,
    title: 'postgres.js client without max',
    fix: 'Pass max from the settings.',
    confidence: 'medium',
  },
]

/** Clients that a file makes without saying how many connections they may hold. */
export function scriptHits(file: SourceFile): Hit[] {
  const sources = [...file.scriptImports.sources]
  const clients = CLIENTS.filter(({ from }) => sources.some((source) => from.test(source)))
  const isPg = sources.includes('pg')
  if (clients.length === 0 && !isPg) return []
  const calls = file.nodes('call_expression', 'new_expression')
  const constants = clients.length === 0 ? new Map<string, SyntaxNode>() : objectConstants(file)
  const bounded = calls.flatMap((call) => clients.flatMap((client) => clientHit(client, file, call, constants)))
  return [...bounded, ...(isPg ? directHits(file, calls) : [])]
}

function clientHit(
  client: Client,
  file: SourceFile,
  call: SyntaxNode,
  constants: ReadonlyMap<string, SyntaxNode>,
): Hit[] {
  const callee = scriptCallee(call)
  if (!client.callee.test(callee) || !comesFrom(client, file, callee)) return []
  const given = scriptArguments(call)
  if (given.some((argument) => isBoundedOrUnknown(argument, client, constants))) return []
  return [
    {
      rule: NO_POOL_LIMIT,
      place: {
        ...linesOf(call),
        title: client.title,
        recommendation: `${client.fix} ${NO_POOL_LIMIT.recommendation}`,
        ...(client.confidence !== undefined && { confidence: client.confidence }),
      },
      ...(client.unless !== undefined && { unless: client.unless }),
    },
  ]
}

/** `new Pool()` counts only when Pool, or what it is a member of, was imported from the library. */
function comesFrom(client: Client, file: SourceFile, callee: string): boolean {
  const source = file.scriptImports.names.get(callee.split('.')[0] ?? '')
  return source !== undefined && client.from.test(source.source)
}

/** Options that cannot be read here (a variable, a call, a spread) may hold the limit; a string is a URL. */
function isBoundedOrUnknown(argument: SyntaxNode, client: Client, constants: ReadonlyMap<string, SyntaxNode>): boolean {
  const bare = unwrap(argument)
  const kind = String(bare?.kind())
  if (bare === undefined) return false
  const url = scriptString(bare)
  if (url !== undefined) return /^sqlite|[?&](max|connection_limit|maxPoolSize|connectionLimit)=|:memory:/i.test(url)
  if (kind === 'identifier' && constants.has(bare.text())) return bounds(constants.get(bare.text()), client)
  if (kind === 'object') return bounds(bare, client)
  if (kind === 'arrow_function' || kind === 'function_expression') return bounds(bare, client)
  return !isAddress(bare)
}

/** `process.env.DATABASE_URL`, `config.databaseUrl`, a template: where the database is, so not how it is pooled. */
function isAddress(node: SyntaxNode): boolean {
  const kind = node.kind()
  if (kind === 'template_string') return true
  if (kind === 'binary_expression') return /env|:\/\//.test(node.text())
  const name = scriptName(node)
  return (
    /^process\.env\b/.test(name) ||
    /(ur[il]|dsn|connection_?string|conn_?str|host|name|user|password|database)$/i.test(name)
  )
}

/** The options, or an object inside of them, bound the pool; or they need none; or part of them is unknown. */
function bounds(node: SyntaxNode | undefined, client: Client): boolean {
  if (node === undefined) return true
  const own = objectLiteral(node)
  if (own !== undefined && (own.spread || isSqlite(own))) return true
  const objects = [node, ...node.findAll({ rule: { kind: 'object' } })].map((part) => objectLiteral(part))
  return objects.some(
    (part) =>
      part !== undefined && (isSqlite(part) || part.spread || [...part.names].some((name) => client.limits.test(name))),
  )
}

function isSqlite({ properties }: ObjectLiteral): boolean {
  return ['client', 'dialect', 'type'].some((name) => /sqlite|sql\.?js/i.test(scriptString(properties.get(name)) ?? ''))
}

/** `const options = { … }` of the file by name. */
function objectConstants(file: SourceFile): Map<string, SyntaxNode> {
  const constants = new Map<string, SyntaxNode>()
  for (const node of file.nodes('variable_declarator')) {
    const value = unwrap(node.field('value'))
    if (value?.kind() === 'object') constants.set(node.field('name')?.text() ?? '', value)
  }
  return constants
}

function directHits(file: SourceFile, calls: readonly SyntaxNode[]): Hit[] {
  const made = calls.filter(
    (call) => call.kind() === 'new_expression' && /^(pg\.|Pg\.)?Client$/.test(scriptCallee(call)),
  )
  const own = made.filter(
    (call) => file.scriptImports.names.get(scriptCallee(call).split('.')[0] ?? '')?.source === 'pg',
  )
  const spans = file.nodes(...FUNCTION_KINDS).map((node) => spanOf(node, node.field('name')?.text() ?? ''))
  const around = enclosing(
    spans,
    own.map((call) => call.range().start.index),
  )
  return own.map((call, index) => {
    const inside = around[index] ?? []
    const isOnce =
      inside.length === 0 ||
      inside.some((name) => /^(main|setup|start|migrate\w*|listen\w*|subscribe\w*|init\w*|bootstrap)$/.test(name))
    const weak = { priority: 'P2', confidence: 'low', title: 'One pg connection without a pool' } as const
    const strong = { confidence: 'medium', title: 'A pg connection is opened inside a function' } as const
    return { rule: CONNECTION_PER_CALL, place: { ...linesOf(call), ...(isOnce ? weak : strong) } }
  })
}
