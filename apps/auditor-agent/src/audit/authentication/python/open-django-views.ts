import { lastName } from '../../source/python.ts'
import { natureOf, soundsLikeAuthentication } from '../names.ts'
import type { OpenEndpoint } from '../open-endpoint.ts'
import type { PythonModule } from './facts.ts'
import type { GuardJudge } from './judge.ts'
import { isFrameworkView } from './read-django.ts'
import type { DjangoModule, ViewFacts } from './read-django.ts'
import type { RouterGraph } from './router-graph.ts'

const GUARD_MIXIN =
  /^(LoginRequiredMixin|PermissionRequiredMixin|UserPassesTestMixin|AccessMixin|StaffuserRequiredMixin|SuperuserRequiredMixin)$/

/** Views that change state and say nothing about who may call them, where the settings say nothing either. */
export function openDjangoViews(
  modules: readonly DjangoModule[],
  python: ReadonlyMap<string, PythonModule>,
  judge: GuardJudge,
  graph: RouterGraph,
): OpenEndpoint[] {
  const isRestGuarded = modules.some(
    ({ defaultPermissions }) =>
      defaultPermissions.length > 0 && !defaultPermissions.some((name) => name.endsWith('AllowAny')),
  )
  const isDjangoGuarded = modules.some(({ middleware }) =>
    middleware.some((name) => /LoginRequired|AuthRequired|RequireLogin/i.test(name)),
  )
  const wrapped = new Map(modules.flatMap((module) => module.wrapped.map(({ view, by }) => [view, by])))
  return modules.flatMap((module) =>
    module.views.flatMap((view) => {
      if (view.flavour === 'rest' && isRestGuarded && view.permissions === undefined) return []
      if (view.flavour === 'flask' ? graph.everyAppIsGuarded : isDjangoGuarded) return []
      if (view.permissions !== undefined) return []
      if (view.bases.some((base) => GUARD_MIXIN.test(base) || inheritsGuard(base, module.path, judge))) return []
      if (
        [...view.decorators, wrapped.get(view.name) ?? ''].some((name) =>
          soundsLikeAuthentication(name.replace('csrf_exempt', '')),
        )
      )
        return []
      const nature = natureOf({
        path: `/${view.name.replace(/(View|ViewSet|APIView|Api|Resource)$/, '').toLowerCase()}`,
        around: [view.name, module.path],
      })
      if (nature === 'public' || handlersGuard(view, module.path, judge, python)) return []
      return [
        {
          file: module.path,
          line: view.line,
          nature,
          method: view.method,
          path: view.name,
          isWebSocket: false,
          isCertain: view.flavour === 'rest',
          isDoubtful: view.flavour === 'django',
        },
      ]
    }),
  )
}

/** A base class of the project that guards: by its name, or by a mixin of its own. */
function inheritsGuard(base: string, path: string, judge: GuardJudge, depth = 0): boolean {
  if (isFrameworkView(base) || depth > 6) return false
  if (soundsLikeAuthentication(base)) return true
  const found = judge.resolve(base, path)
  const bases = found?.module.classes.get(found.name)?.bases ?? []
  return (
    found !== undefined &&
    bases.some((next) => GUARD_MIXIN.test(next) || inheritsGuard(lastName(next), found.module.path, judge, depth + 1))
  )
}

function handlersGuard(
  view: ViewFacts,
  path: string,
  judge: GuardJudge,
  python: ReadonlyMap<string, PythonModule>,
): boolean {
  const module = python.get(path)
  return (
    view.handlers.length > 0 &&
    view.handlers.every((name) => {
      const fact = module?.functions.get(name)
      return fact !== undefined && judge.functionGuards(fact, path)
    })
  )
}
