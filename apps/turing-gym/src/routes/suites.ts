import { ROUTES } from '@hypercode/contracts'
import type { SuiteManifest } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement, pageOf } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import type { ReadManifest } from '@hypercode/manifest'
import { captured, withScenario } from '../domain/capture.ts'
import { findFinishedTask } from '../store/finished-task.ts'
import { findSuite, listSuites, storeSuite } from '../store/suites.ts'
import type { SuiteReader } from '../suites/index.ts'

export interface SuiteRouteDeps {
  readonly db: Db
  readonly reader: SuiteReader
}

/** Suites arrive as text, JSON too: YAML reads both, and only text has lines to point at. */
export function suiteRoutes(app: ServiceApp, { db, reader }: SuiteRouteDeps): void {
  implement(
    app,
    ROUTES.createSuite,
    async ({ body, principal }, reply) => {
      const manifest = sound(reader.parse(body))
      const who = { tenantId: principal.tenantId, actor: principal.subject, name: manifest.metadata.name }
      const { suite, created } = await storeSuite(db, who, () => manifest)
      return reply
        .code(created ? 201 : 200)
        .header('location', `/v1/gym/suites/${suite.name}/versions/${suite.version}`)
        .send(suite)
    },
    { body: 'text' },
  )

  implement(
    app,
    ROUTES.validateSuite,
    ({ body }) => {
      const { faults } = reader.parse(body)
      return { valid: faults.length === 0, faults: [...faults] }
    },
    { body: 'text' },
  )

  implement(app, ROUTES.listSuites, async ({ principal, query: { limit = 50, cursor } }) =>
    pageOf(await listSuites(db, principal.tenantId, limit + 1, cursor), limit, (suite) => suite.name),
  )

  implement(app, ROUTES.getSuite, async ({ principal, params: { name, version } }) => {
    const suite = await findSuite(db, principal.tenantId, name, version === 'latest' ? 'latest' : Number(version))
    if (suite === undefined) throw new AppError('not_found', { detail: `There is no suite ${name}@${version}.` })
    return suite
  })

  implement(app, ROUTES.captureScenario, async ({ body, params: { name }, principal }, reply) => {
    const { tenantId, subject } = principal
    const task = await findFinishedTask(db, tenantId, body.taskId)
    if (task === undefined)
      throw new AppError('not_found', { detail: 'There is no such task, or it has not ended by itself.' })
    const scenario = captured(task, body.scenario, body.scorers)
    const { suite } = await storeSuite(db, { tenantId, actor: subject, name }, (latest) => {
      if (latest?.manifest.spec.scenarios.some(({ id }) => id === scenario.id) === true) {
        throw new AppError('conflict', {
          detail: `The suite has a scenario "${scenario.id}" already.`,
          fix: 'Choose another name.',
        })
      }
      return sound(reader.read(withScenario(latest?.manifest, name, scenario)))
    })
    return reply.code(201).header('location', `/v1/gym/suites/${suite.name}/versions/${suite.version}`).send(suite)
  })
}

function sound({ manifest, faults }: ReadManifest<SuiteManifest>): SuiteManifest {
  if (manifest === undefined)
    throw new AppError('suite_invalid', { detail: `${faults.length} faults`, faults: [...faults] })
  return manifest
}
