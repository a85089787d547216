import type { AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import type { InventoryFile } from '../inventory/inventory.ts'
import { isScript } from '../inventory/languages.ts'
import { finding } from '../rule.ts'
import type { Project } from '../source/project.ts'
import type { SourceFile } from '../source/source-file.ts'
import { djangoDatabases, prismaUse, pythonHits } from './python-clients.ts'
import type { Hit } from './python-clients.ts'
import { NO_POOL_LIMIT } from './rules.ts'
import { scriptHits } from './script-clients.ts'

interface Candidate {
  readonly made: AuditFinding
  readonly unless?: Hit['unless']
}

interface Client {
  readonly name: string
  readonly path: string
  readonly made: AuditFinding
}

/** Finds database clients whose pools have no explicit bound. A limit in a URL counts for the whole repository. */
export function databasePoolingAudit(project: Project): Audit {
  const candidates: Candidate[] = []
  const limits = new Set<Hit['unless']>()
  const prismaMade: Client[] = []
  const connects: (Client & { readonly from?: string })[] = []

  const visitCode = (file: SourceFile): void => {
    const isPython = file.entry.language === 'python'
    const hits = isPython ? [...pythonHits(file), ...djangoDatabases(file)] : scriptHits(file)
    candidates.push(
      ...hits.map(({ rule, place, unless }) => ({
        made: finding(rule, file, place),
        ...(unless !== undefined && { unless }),
      })),
    )
    if (!isPython) return
    const use = prismaUse(file)
    const client = (name: string, place: Parameters<typeof finding>[2]): Client => ({
      name,
      path: file.path,
      made: finding(NO_POOL_LIMIT, file, { ...place, title: PRISMA_TITLE, recommendation: PRISMA_FIX }),
    })
    prismaMade.push(...use.made.map(({ name, place }) => client(name, place)))
    connects.push(
      ...use.connects.map(({ name, place }) => ({ ...client(name, place), ...origin(project, file, name) })),
    )
  }

  return {
    kind: 'database-pooling',
    wants: (file) => isCode(file) || file.role !== 'docs',
    visit(file) {
      // Comments and examples do not bound anything, but an example env file shows what the URL looks like.
      if (/connection_limit=\d|connection_limit=\$/.test(file.text)) limits.add('connection_limit')
      if (file.text.includes('SQLALCHEMY_ENGINE_OPTIONS') || file.text.includes('SQLALCHEMY_POOL_SIZE'))
        limits.add('engine options')
      if (isCode(file.entry)) visitCode(file)
    },
    finish() {
      const prisma = limits.has('connection_limit') ? [] : prismaFindings(prismaMade, connects)
      return [
        ...candidates.filter(({ unless }) => unless === undefined || !limits.has(unless)).map(({ made }) => made),
        ...prisma,
      ]
    },
  }
}

const PRISMA_TITLE = 'Prisma connects without connection_limit'
const PRISMA_FIX = `Add connection_limit and pool_timeout to the database URL (or go through PgBouncer) and expose the size as a setting. ${NO_POOL_LIMIT.recommendation}`

function isCode(file: InventoryFile): boolean {
  return file.role === 'source' && (file.language === 'python' || isScript(file.language))
}

/** The file that the connected variable was imported from. */
function origin(project: Project, file: SourceFile, name: string): { from?: string } {
  const source = file.pythonImports.names.get(name.split('.')[0] ?? '')
  const module = source === undefined ? undefined : project.pythonModule(file.path, source)
  return module === undefined ? {} : { from: module.file }
}

/** A client is reported where it first connects; where it is made when it connects nowhere. */
function prismaFindings(
  made: readonly Client[],
  connects: readonly (Client & { readonly from?: string })[],
): AuditFinding[] {
  return made.map((client) => {
    const name = client.name.split('.').at(-1)
    const first = connects.find(
      (other) => (other.from ?? other.path) === client.path && other.name.split('.').at(-1) === name,
    )
    return (first ?? client).made
  })
}
