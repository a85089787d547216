import { readdirSync } from 'node:fs'
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import { flat } from './statement.ts'

interface Migration {
  up: (db: Kysely<unknown>) => Promise<void>
}

const FOLDER = new URL('../../../../packages/db/src/migrations/', import.meta.url)

/** The bodies of the functions that the migrations create, by name, as the last of them left each. */
const bodies = await readFunctions()

/** The body of a function, on one line, with its arguments as parameters: what the model reads its conditions out of. */
export function functionBody(name: string, args: readonly string[]): string {
  const body = bodies.get(name)
  if (body === undefined) throw new Error(`no migration creates the function ${name}`)
  return args.reduce((text, arg, index) => text.replaceAll(new RegExp(` = ${arg}\\b`, 'g'), ` = $$${index + 1}`), body)
}

/** Runs the migrations against nothing, and keeps what they say. */
async function readFunctions(): Promise<ReadonlyMap<string, string>> {
  const said: string[] = []
  const db = new Kysely<unknown>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (one) => new PostgresIntrospector(one),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
    log: ({ query }) => void said.push(query.sql),
  })
  for (const file of readdirSync(FOLDER).sort()) {
    const { up } = (await import(new URL(file, FOLDER).href)) as Migration
    await up(db)
  }
  const created = said.map((statement) =>
    /^create (?:or replace )?function (\w+)\(.*\$\$(.*)\$\$$/.exec(flat(statement)),
  )
  return new Map(created.flatMap((found) => (found === null ? [] : [[found[1] as string, found[2] as string]])))
}
