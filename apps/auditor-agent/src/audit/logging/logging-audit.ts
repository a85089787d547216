import type { AuditConfidence, AuditFinding } from '@hypercode/contracts'
import type { Audit } from '../audit.ts'
import { isScript } from '../inventory/languages.ts'
import { finding } from '../rule.ts'
import type { Place, Rule } from '../rule.ts'
import type { Project } from '../source/project.ts'
import { Services } from '../source/services.ts'
import type { Lines, SourceFile } from '../source/source-file.ts'
import { readPythonLogging } from './python-logging.ts'
import type { PythonLogging } from './python-logging.ts'
import { ACCESS_LOG, CONSOLE, NO_LOGGER, PLAIN_SCRIPT, PLAIN_TEXT, PRINT, UNCONFIGURED } from './rules.ts'
import { readScriptLogging } from './script-logging.ts'
import type { ScriptLogging } from './script-logging.ts'

const MAX_PRINTS_PER_FILE = 20

/** Files that are called what services are called, in a repository that imports no framework we know. */
const NAMED_SERVICE =
  /(^|\/)(services?|servers?|api|workers?|handlers|routers?|routes|controllers|consumers)\/|(^|\/)(server|app|worker|service|api)\.(py|[cm]?[jt]s)$/

/** A finding that is ready but for the question whether it counts. */
type Make = (change?: Partial<Place>) => AuditFinding

interface Seen<T> {
  readonly path: string
  readonly service: string
  readonly facts: T
  readonly plain: readonly Make[]
  readonly calls: readonly Make[]
  readonly first?: Make
}

/** Finds plain-text logs and prints in services. Whether a service logs in JSON is known only when all its files are. */
export function loggingAudit(project: Project): Audit {
  const services = new Services(project.inventory)
  const python: Seen<PythonLogging>[] = []
  const scripts: Seen<ScriptLogging>[] = []
  const found: AuditFinding[] = []
  return {
    kind: 'logging',
    wants: (file) => file.role === 'source' && (file.language === 'python' || isScript(file.language)),
    visit(file) {
      const service = services.of(file.path)
      if (file.entry.language === 'python') python.push(seePython(file, service, project))
      else {
        const seen = seeScript(file, service)
        scripts.push(seen)
        found.push(...seen.facts.accessLogs.map((lines) => finding(ACCESS_LOG, file, lines)))
      }
    },
    finish: () => [...found, ...judgePython(python), ...judgeScripts(scripts)],
  }
}

function seePython(file: SourceFile, service: string, project: Project): Seen<PythonLogging> {
  const imports = [...file.pythonImports.names.values()]
    .map((name) => project.pythonModule(file.path, name)?.file)
    .filter((path) => path !== undefined)
  const facts = readPythonLogging(file, imports)
  return {
    path: file.path,
    service,
    facts,
    plain: facts.plainSetups.map((lines) => maker(PLAIN_TEXT, file, lines)),
    calls: facts.prints.slice(0, MAX_PRINTS_PER_FILE).map((lines) => maker(PRINT, file, lines)),
    ...(facts.firstCall !== undefined && { first: maker(UNCONFIGURED, file, facts.firstCall) }),
  }
}

function seeScript(file: SourceFile, service: string): Seen<ScriptLogging> {
  const facts = readScriptLogging(file)
  const [first] = facts.consoleCalls
  return {
    path: file.path,
    service,
    facts,
    plain: facts.plainSetups.map(({ isCertain, ...place }) =>
      maker(PLAIN_SCRIPT, file, { ...place, confidence: isCertain ? 'high' : 'medium' }),
    ),
    calls: facts.consoleCalls.slice(0, MAX_PRINTS_PER_FILE).map((lines) => maker(CONSOLE, file, lines)),
    ...(first !== undefined && { first: maker(NO_LOGGER, file, first) }),
  }
}

/** Makes the finding at once, while the file is at hand; only its confidence may still change. */
function maker(rule: Rule, file: SourceFile, place: Lines & Partial<Place>): Make {
  const made = finding(rule, file, place)
  return (change) => ({ ...made, ...change })
}

function judgePython(seen: readonly Seen<PythonLogging>[]): AuditFinding[] {
  const structuredFiles = new Set(seen.filter(({ facts }) => facts.structured).map(({ path }) => path))
  const anyService = seen.some(({ path, facts }) => facts.isService || NAMED_SERVICE.test(path))
  return [...Map.groupBy(seen, ({ service }) => service).values()].flatMap((files) => {
    const isStructured = files.some(
      ({ path, facts }) => structuredFiles.has(path) || facts.imports.some((other) => structuredFiles.has(other)),
    )
    const isService = files.some(({ facts }) => facts.isService)
    const prints = anyService ? printsOf(files, isService) : []
    return isStructured ? prints : [...plainText(files, isService), ...prints]
  })
}

function plainText(files: readonly Seen<PythonLogging>[], isService: boolean): AuditFinding[] {
  const setUps = files.filter(({ facts }) => !facts.isCommandLine).flatMap(({ plain }) => plain)
  if (setUps.length > 0) return setUps.map((make) => make(isService ? {} : { confidence: 'medium' }))
  const logging = files.filter(({ facts, first }) => !facts.isCommandLine && first !== undefined)
  // Libraries leave the configuration to their users; who calls the root logger is no library.
  const speaker = isService ? logging[0] : logging.find(({ facts }) => facts.usesRootLogger)
  return speaker?.first === undefined ? [] : [speaker.first(isService ? {} : { confidence: 'low' })]
}

function printsOf(files: readonly Seen<PythonLogging | ScriptLogging>[], isService: boolean): AuditFinding[] {
  return files.flatMap(({ facts, calls }) => {
    if (facts.isCommandLine) return []
    const confidence: AuditConfidence = facts.isService ? 'high' : isService ? 'medium' : 'low'
    return calls.map((make) => make({ confidence }))
  })
}

function judgeScripts(seen: readonly Seen<ScriptLogging>[]): AuditFinding[] {
  const anyService = seen.some(({ path, facts }) => facts.isService || NAMED_SERVICE.test(path))
  return [...Map.groupBy(seen, ({ service }) => service).values()].flatMap((files) => {
    const isService = files.some(({ facts }) => facts.isService)
    const [first] = files.filter(({ facts }) => !facts.isCommandLine).flatMap((file) => file.first ?? [])
    const lacksLogger = isService && !files.some(({ facts }) => facts.hasLogger)
    return [
      ...files.flatMap(({ plain }) => plain.map((make) => make())),
      ...(lacksLogger && first !== undefined ? [first()] : []),
      ...(anyService ? printsOf(files, isService) : []),
    ]
  })
}
