import type { AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import { isScript } from '../inventory/languages.ts'
import { finding, priorityIn } from '../rule.ts'
import type { Project } from '../source/project.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'
import { openDjangoViews } from './python/open-django-views.ts'
import { readDjango } from './python/read-django.ts'
import type { DjangoModule } from './python/read-django.ts'
import type { PythonModule } from './python/facts.ts'
import { GuardJudge } from './python/judge.ts'
import { openPythonEndpoints } from './python/python-endpoints.ts'
import { RouterGraph } from './python/router-graph.ts'
import { readModule as readPython } from './python/read-module.ts'
import { judgeEndpoint } from './open-endpoint.ts'
import type { OpenEndpoint } from './open-endpoint.ts'
import { NO_AUTHENTICATION } from './rules.ts'
import type { ScriptModule } from './script/facts.ts'
import { ScriptModules } from './script/modules.ts'
import { openNestEndpoints, readNest } from './script/nest.ts'
import type { NestModule } from './script/nest.ts'
import { readModule as readScript } from './script/read-module.ts'
import { openScriptEndpoints } from './script/script-endpoints.ts'

const WITHOUT_ENDPOINTS = new Set(['test', 'docs', 'ci', 'build', 'migration', 'browser'])

/** Finds endpoints that change state for anybody who calls. Routers are followed across files before anything is said. */
export function authenticationAudit(project: Project): Audit {
  const python = new Map<string, PythonModule>()
  const scripts = new Map<string, ScriptModule>()
  const django: DjangoModule[] = []
  const nest: NestModule[] = []
  const drafts = new Map<string, AuditFinding>()

  /** The code is at hand only now; whether it is a finding shows at the end. */
  const draft = (file: SourceFile, places: readonly Lines[]): void => {
    for (const { line, endLine } of places)
      drafts.set(`${file.path}:${line}`, finding(NO_AUTHENTICATION, file, { line, endLine }))
  }

  return {
    kind: 'authentication',
    wants: (file) => !WITHOUT_ENDPOINTS.has(file.role) && (file.language === 'python' || isScript(file.language)),
    visit(file) {
      if (file.entry.language === 'python') {
        const module = readPython(file)
        const views = readDjango(file)
        python.set(file.path, module)
        django.push(views)
        draft(file, [...module.endpoints, ...views.views])
      } else {
        const module = readScript(file)
        const controllers = readNest(file)
        scripts.set(file.path, module)
        nest.push(controllers)
        draft(file, [...module.routes, ...controllers.endpoints])
      }
    },
    finish() {
      const roles = new Map(project.inventory.files.map((file) => [file.path, file.role]))
      const modules = new ScriptModules(project, scripts)
      const judge = new GuardJudge(project, python)
      const graph = new RouterGraph(project, python, judge)
      const open = [
        ...openPythonEndpoints(python, judge, graph),
        ...openDjangoViews(django, python, judge, graph),
        ...openScriptEndpoints(modules),
        ...openNestEndpoints(nest, modules),
      ]
      return open.flatMap((endpoint) => publish(endpoint, drafts, roles.get(endpoint.file) ?? 'source'))
    },
  }
}

function publish(
  open: OpenEndpoint,
  drafts: ReadonlyMap<string, AuditFinding>,
  role: Parameters<typeof priorityIn>[0],
): AuditFinding[] {
  const made = drafts.get(`${open.file}:${open.line}`)
  if (made === undefined) return []
  const { rule, title, priority, confidence } = judgeEndpoint(open)
  const { id, impact, recommendation } = rule
  return [{ ...made, rule: id, title, impact, recommendation, priority: priorityIn(role, priority), confidence }]
}
