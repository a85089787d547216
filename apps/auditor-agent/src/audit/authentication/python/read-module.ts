import { pythonArguments, pythonName } from '../../source/python.ts'
import type { SourceFile } from '../../source/source-file.ts'
import type { ClassFacts, PythonModule } from './facts.ts'
import { readEndpoints } from './read-endpoints.ts'
import { readFunctions, readVariables } from './read-functions.ts'
import { readLoops, readRouters, readWiring } from './read-routers.ts'

/** What a file may have to do with who may call what; most files have nothing, and cost one search. */
const RELEVANT =
  /fastapi|flask|django|rest_framework|starlette|quart|sanic|aiohttp|litestar|APIRouter|router|blueprint|\b40[13]\b|unauthori|forbidden|jwt|authenticat|permission|Depends/i

export function readModule(file: SourceFile): PythonModule {
  const empty = { functions: new Map(), classes: new Map(), variables: new Map(), loops: new Map() }
  const base = {
    path: file.path,
    imports: file.pythonImports,
    ...empty,
    routers: [],
    guards: [],
    mounts: [],
    bindings: [],
    endpoints: [],
  }
  if (!RELEVANT.test(file.text)) return base
  return {
    ...base,
    functions: readFunctions(file),
    classes: readClasses(file),
    variables: readVariables(file),
    routers: readRouters(file),
    ...readWiring(file),
    endpoints: readEndpoints(file),
    loops: readLoops(file),
  }
}

function readClasses(file: SourceFile): Map<string, ClassFacts> {
  return new Map(
    file.nodes('class_definition').map((node) => {
      const list = node.field('superclasses')
      const bases = list === null ? [] : pythonArguments(list).positional.map(pythonName)
      return [node.field('name')?.text() ?? '', { bases }]
    }),
  )
}
