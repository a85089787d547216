import { availableParallelism } from 'node:os'
import path from 'node:path'
import { configDefaults, defineConfig } from 'vitest/config'

/** Workspace packages are reached as sources, so that a test never runs against a stale build. */
const SOURCE = '@hypercode/source'

/** What Vite resolves by when nothing is said; naming our own condition replaces the list, so it is repeated. */
const conditions = [SOURCE, 'module', 'node', 'development|production']

/**
 * Files that share processes, one after the other in each: what they test runs in the test process and leaves nothing there, and each
 * test has a database and keys of its own. It spares a file the loading of everything, which is a second of work. Whatever is not
 * named here has its process for itself; so have those that ask for the time, the memory or the umask of theirs, and those that
 * call `test.override` outside of a `describe`: what is set there holds for every later file that imports the same `test`.
 */
const TOGETHER = [
  'apps/{agent-registry,auditor-agent,gateway}/test/**/*.test.ts',
  'apps/agent-factory/test/*.test.ts',
  'apps/agent-factory/test/domain/*.test.ts',
  'apps/agent-factory/test/drivers/kubernetes-*.test.ts',
  'apps/crew-orchestrator/test/*.test.ts',
  'apps/crew-orchestrator/test/{api,domain,explain,manifest}/*.test.ts',
  'apps/crew-orchestrator/test/engine/!(operations-of-many|retention-loop).test.ts',
  'apps/turing-gym/test/!(workspace).test.ts',
  'packages/base-agent/test/!(leases|publish|serve).test.ts',
  'packages/{client,contracts,db,events,manifest,telemetry}/test/*.test.ts',
  'packages/http/test/!(bodies|loops|sockets|storable-bodies|token-battery*).test.ts',
]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [SOURCE, 'node', 'module-sync'] } },
  // The global set-up is loaded in an environment of its own, which does not take over the two lines above.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    exclude: [...configDefaults.exclude, '**/dist/**', '**/fixtures/**', '**/.hypercode/**'],
    // In the order of their names: what starts services and waits for them comes first, many small files fill the end.
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['{apps,packages}/*/test/**/*.test.ts', 'infra/**/test/**/*.test.ts'],
          exclude: TOGETHER,
          isolate: true,
        },
      },
      { extends: true, test: { name: 'together', include: TOGETHER, isolate: false } },
    ],
    // The shared servers of a run: they start when the first file asks for them.
    globalSetup: ['packages/testkit/src/global-setup.ts'],
    setupFiles: ['packages/testkit/src/end-with-vitest.ts'],
    environment: 'node',
    // Processes, not threads: worker threads, signals and exit codes under test then behave as they do in a service.
    pool: 'forks',
    // One file more than there are cores: what starts services and waits for leases to run out leaves a core idle a third of its time.
    maxWorkers: Math.min(5, availableParallelism() + 1),
    // Worker threads that a test starts inherit this and load the same sources.
    execArgv: [`--conditions=${SOURCE}`],
    env: {
      LOG_LEVEL: 'silent',
      // What starts a service from its sources spends half its time on types and on compiling; Node keeps the result by file and content.
      NODE_COMPILE_CACHE: path.join(import.meta.dirname, 'node_modules/.cache/node'),
    },
    testTimeout: 20_000,
    // What comes in a moment comes later on a busy machine: only what never comes is a failure.
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    allowOnly: false,
    passWithNoTests: false,
    restoreMocks: true,
    unstubEnvs: true,
  },
})
