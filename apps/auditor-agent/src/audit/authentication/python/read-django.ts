import type { SyntaxNode } from '../../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonString } from '../../source/python.ts'
import { linesOf } from '../../source/source-file.ts'
import type { Lines, SourceFile } from '../../source/source-file.ts'
import { soundsLikeAuthentication } from '../names.ts'
import { decoratorsOf } from './read-functions.ts'

export interface ViewFacts extends Lines {
  readonly name: string
  readonly method: string
  readonly flavour: 'rest' | 'django' | 'flask'
  readonly bases: readonly string[]
  readonly decorators: readonly string[]
  /** Names in permission_classes, decorators, get_permissions: what it says about who may call. */
  readonly permissions: readonly string[] | undefined
  /** Methods of the class that change state; for functions the function itself. */
  readonly handlers: readonly string[]
}

/** Views of Django, Django REST framework and the class-based views of Flask in one file, and what the settings say. */
export interface DjangoModule {
  readonly path: string
  readonly views: readonly ViewFacts[]
  readonly defaultPermissions: readonly string[]
  readonly middleware: readonly string[]
  /** Views that urls.py wraps: `path('x/', login_required(view))`. */
  readonly wrapped: readonly { readonly view: string; readonly by: string }[]
}

export function readDjango(file: SourceFile): DjangoModule {
  const { packages } = file.pythonImports
  const isSettings = /DEFAULT_PERMISSION_CLASSES|\bMIDDLEWARE\b/.test(file.text)
  const none = { path: file.path, views: [], defaultPermissions: [], middleware: [], wrapped: [] }
  const isFlask = ['flask', 'flask_restful', 'flask_restx', 'flask_smorest'].some((name) => packages.has(name))
  const isDjango = packages.has('django') || packages.has('rest_framework')
  if (!isSettings && !isFlask && !isDjango) return none
  return {
    path: file.path,
    views: [
      ...file.nodes('class_definition').flatMap((node) => classView(node, isFlask)),
      ...(isDjango ? file.nodes('function_definition').flatMap((node) => functionView(file, node)) : []),
    ],
    defaultPermissions: isSettings ? stringsOf(file, 'DEFAULT_PERMISSION_CLASSES') : [],
    middleware: isSettings ? stringsOf(file, 'MIDDLEWARE') : [],
    wrapped: isDjango ? wrappedViews(file) : [],
  }
}

const REST_BASE =
  /^(APIView|GenericAPIView|\w*ViewSet|ViewSetMixin|(List)?CreateAPIView|\w*(Update|Destroy)APIView|RetrieveUpdateDestroyAPIView)$/
const REST_CHANGING_BASE =
  /^(ModelViewSet|\w*CreateAPIView|\w*UpdateAPIView|\w*DestroyAPIView|RetrieveUpdateDestroyAPIView|RetrieveUpdateAPIView|RetrieveDestroyAPIView)$/
const DJANGO_BASE = /^(View|CreateView|UpdateView|DeleteView|TemplateView|DetailView|ListView)$/
const DJANGO_CHANGING_BASE = /^(CreateView|UpdateView|DeleteView)$/
const FLASK_BASE = /^(MethodView|Resource)$/
/** A view class of a framework itself, which says nothing about who may call. */
export function isFrameworkView(name: string): boolean {
  return REST_BASE.test(name) || DJANGO_BASE.test(name) || FLASK_BASE.test(name)
}

const CHANGING = new Set([
  'post',
  'put',
  'patch',
  'delete',
  'create',
  'update',
  'partial_update',
  'destroy',
  'perform_create',
  'perform_update',
  'perform_destroy',
])

function classView(node: SyntaxNode, isFlask: boolean): ViewFacts[] {
  const bases =
    node.field('superclasses') === null
      ? []
      : pythonArguments(node.field('superclasses') ?? node).positional.map((base) => lastName(pythonName(base)))
  const flavour =
    isFlask && bases.some((base) => FLASK_BASE.test(base))
      ? 'flask'
      : bases.some((base) => REST_BASE.test(base))
        ? 'rest'
        : bases.some((base) => DJANGO_BASE.test(base))
          ? 'django'
          : undefined
  if (flavour === undefined) return []
  const members = (node.field('body')?.children() ?? []).map((child) =>
    child.kind() === 'decorated_definition' ? (child.field('definition') ?? child) : child,
  )
  const methods = members.filter((member) => member.kind() === 'function_definition')
  const changing = methods.filter((method) => isChanging(method, flavour))
  const inherits = bases.some((base) => (flavour === 'rest' ? REST_CHANGING_BASE : DJANGO_CHANGING_BASE).test(base))
  const open = changing.filter((method) => !decoratorsOf(method).some(({ name }) => soundsLikeAuthentication(name)))
  if (!(inherits && changing.length === 0) && open.length === 0) return []
  const { line } = linesOf(node)
  return [
    {
      line,
      endLine: line,
      name: node.field('name')?.text() ?? '',
      method:
        changing
          .map((method) => method.field('name')?.text().toUpperCase() ?? '')
          .find((name) => /^(POST|PUT|PATCH|DELETE)$/.test(name)) ?? 'POST',
      flavour,
      bases,
      decorators: classDecorators(node),
      permissions: permissionsOf(members),
      handlers: open.map((method) => `${node.field('name')?.text() ?? ''}.${method.field('name')?.text() ?? ''}`),
    },
  ]
}

function isChanging(method: SyntaxNode, flavour: ViewFacts['flavour']): boolean {
  if (CHANGING.has(method.field('name')?.text() ?? '')) return true
  if (flavour !== 'rest') return false
  const parent = method.parent()
  return (
    parent?.kind() === 'decorated_definition' &&
    /@action\([^)]*methods=\[[^\]]*["'](post|put|patch|delete)["']/i.test(parent.text().slice(0, 400))
  )
}

/** Also what method_decorator(…) brings. */
function classDecorators(node: SyntaxNode): string[] {
  const parent = node.parent()
  if (parent?.kind() !== 'decorated_definition') return []
  return parent
    .children()
    .filter((child) => child.kind() === 'decorator')
    .map((decorator) => decorator.text().slice(0, 200))
}

function permissionsOf(members: readonly SyntaxNode[]): string[] | undefined {
  const found = members.flatMap((member) => {
    if (member.kind() === 'function_definition')
      return /^(get_permissions|check_permissions|dispatch|test_func)$/.test(member.field('name')?.text() ?? '')
        ? [`auth ${member.text().slice(0, 300)}`]
        : []
    const assignment = member.child(0)
    if (assignment?.kind() !== 'assignment') return []
    return /^(permission_classes|decorators|method_decorators|authentication_classes|permission_required)$/.test(
      assignment.field('left')?.text() ?? '',
    )
      ? [assignment.field('right')?.text() ?? '']
      : []
  })
  return found.length === 0 ? undefined : found
}

/** `@api_view(["POST"])`, and views of Django that handle POST themselves. */
function functionView(file: SourceFile, node: SyntaxNode): ViewFacts[] {
  const decorators = decoratorsOf(node)
  const parent = node.parent()
  const text =
    parent?.kind() === 'decorated_definition'
      ? parent
          .children()
          .filter((child) => child.kind() === 'decorator')
          .map((child) => child.text())
      : []
  const api = text.find((line) => /^@(\w+\.)*api_view\b/.test(line))
  const first =
    node
      .field('parameters')
      ?.children()
      .find((child) => child.isNamed())
      ?.text() ?? ''
  const isRest = api !== undefined && /post|put|patch|delete/i.test(api)
  const body = node.field('body')?.text() ?? ''
  const isForm =
    api === undefined &&
    /^request\b/.test(first) &&
    (text.some((line) => /^@(\w+\.)*require_(POST|http_methods\([^)]*(POST|PUT|PATCH|DELETE))/.test(line)) ||
      /request\.method\s*==\s*["'](POST|PUT|PATCH|DELETE)["']/.test(body))
  if (!isRest && !isForm) return []
  const start = text.length > 0 && parent !== null ? linesOf(parent).line : linesOf(node).line
  const method = /["'](POST|PUT|PATCH|DELETE)["']/i.exec(api ?? '')?.[1]?.toUpperCase() ?? 'POST'
  const permissions = text.filter((line) => line.includes('permission_classes'))
  return [
    {
      line: start,
      endLine: linesOf(node.field('parameters') ?? node).endLine,
      name: node.field('name')?.text() ?? '',
      method,
      flavour: isRest ? 'rest' : 'django',
      bases: [],
      decorators: decorators.map(({ name }) => name),
      permissions: permissions.length === 0 ? undefined : permissions,
      handlers: [node.field('name')?.text() ?? ''],
    },
  ]
}

/** The strings that a setting lists, wherever it stands: at the top, or inside of REST_FRAMEWORK. */
function stringsOf(file: SourceFile, name: string): string[] {
  const values = [
    ...file
      .nodes('assignment')
      .filter((node) => node.field('left')?.text() === name)
      .map((node) => node.field('right')),
    ...file
      .nodes('pair')
      .filter((node) => pythonString(node.field('key')) === name)
      .map((node) => node.field('value')),
  ]
  return values.flatMap(
    (value) => value?.findAll({ rule: { kind: 'string' } }).map((node) => pythonString(node) ?? '') ?? [],
  )
}

function wrappedViews(file: SourceFile): { view: string; by: string }[] {
  if (!/\b(path|re_path|url)\(/.test(file.text)) return []
  return file.nodes('call').flatMap((call) => {
    if (!/^(path|re_path|url)$/.test(pythonCallee(call))) return []
    const view = pythonArguments(call).positional[1]
    if (view?.kind() !== 'call') return []
    const inner = pythonArguments(view).positional[0]
    return inner === undefined
      ? []
      : [{ view: lastName(pythonName(inner).replace(/\.as_view\(.*$/, '')), by: pythonCallee(view) }]
  })
}
