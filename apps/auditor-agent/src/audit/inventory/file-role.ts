/**
 * What a file is for. `source` is what a service runs; findings elsewhere weigh less or do not count, by the rules of
 * each audit. `browser` is code of a front end.
 */
export type FileRole = 'source' | 'test' | 'script' | 'example' | 'migration' | 'docs' | 'ci' | 'build' | 'browser'

/** The role of a file by its path (relative, forward slashes) and its first line. Whether it is `browser` code is decided later. */
export function roleOf(path: string, firstLine: string): FileRole {
  const segments = path.toLowerCase().split('/')
  const name = segments.pop() ?? ''
  if (segments.some((segment) => TEST_FOLDERS.has(segment)) || TEST_FILE.test(name)) return 'test'
  if (segments[0] === '.github' || segments[0] === '.gitlab' || segments[0] === '.circleci' || CI_FILE.test(name)) {
    return 'ci'
  }
  if (segments.some((segment) => MIGRATION_FOLDERS.has(segment))) return 'migration'
  if (segments.some((segment) => EXAMPLE_FOLDERS.has(segment)) || EXAMPLE_FILE.test(name)) return 'example'
  if (DOCS_FILE.test(name) || segments.some((segment) => DOCS_FOLDERS.has(segment))) return 'docs'
  if (BUILD_FILE.test(name)) return 'build'
  const isTool = segments[0] === 'tools' || segments.some((segment) => SCRIPT_FOLDERS.has(segment))
  if (isTool || SCRIPT_FILE.test(name) || firstLine.startsWith('#!')) {
    return 'script'
  }
  return 'source'
}

const TEST_FOLDERS = new Set([
  'test',
  'tests',
  '__tests__',
  'spec',
  'specs',
  'e2e',
  'fixtures',
  '__fixtures__',
  '__mocks__',
  'mocks',
  'testdata',
  'test-data',
  'test_data',
  'cypress',
  'playwright',
  'testkit',
  'test-kit',
  'testing',
  'testutils',
  'test-utils',
  'test_utils',
  'test-support',
])
const TEST_FILE =
  /^(test_.*|.*_test|conftest)\.py$|[.-](test|tests|spec|e2e|e2e-spec|bench|stories|mock|fixture)\.[cm]?[jt]sx?$/
const CI_FILE = /^(\.gitlab-ci|\.travis|azure-pipelines|bitbucket-pipelines|appveyor|jenkinsfile)/
const MIGRATION_FOLDERS = new Set(['migrations', 'alembic'])
const EXAMPLE_FOLDERS = new Set(['example', 'examples', 'sample', 'samples', 'demo', 'demos', 'tutorial', 'tutorials'])
const EXAMPLE_FILE =
  /\.(example|sample|template|tmpl|tpl|dist)(\.|$)|^(example|sample)[._-]|[._-](example|sample)\.[a-z]+$/
const DOCS_FOLDERS = new Set(['docs', 'doc', 'docs_src', 'documentation'])
const DOCS_FILE = /\.(md|mdx|rst)$/
const BUILD_FILE =
  /^(setup\.py|noxfile\.py|fabfile\.py|gulpfile.*|gruntfile.*|.*\.config\.[cm]?[jt]s|\.eslintrc\.[cm]?js|\..*rc\.[cm]?js)$/
const SCRIPT_FOLDERS = new Set(['scripts', 'script', 'bin', 'cli', 'benchmarks', 'bench', 'hack'])
const SCRIPT_FILE =
  /^(manage|cli|__main__|seed|seeds|seeder)\.(py|[cm]?[jt]s)$|^seed[_-].*\.(py|[cm]?[jt]s)$|[_-]cli\.(py|[cm]?[jt]s)$/
