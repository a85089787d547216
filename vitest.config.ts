import { availableParallelism } from 'node:os'
import path from 'node:path'
import { configDefaults, defineConfig } from 'vitest/config'

/** Workspace packages are reached as sources, so that a test never runs against a stale build. */
const SOURCE = '@hypercode/source'

/** What Vite resolves by when nothing is said; naming our own condition replaces the list, so it is repeated. */
const conditions = [SOURCE, 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [SOURCE, 'node', 'module-sync'] } },
  // The global set-up is loaded in an environment of its own, which does not take over the two lines above.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    include: ['{apps,packages}/*/test/**/*.test.ts', 'infra/**/test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, '**/dist/**', '**/fixtures/**', '**/.hypercode/**'],
    // The shared servers of a run: they start when the first file asks for them.
    globalSetup: ['packages/testkit/src/global-setup.ts'],
    setupFiles: ['packages/testkit/src/end-with-vitest.ts'],
    environment: 'node',
    // A process per file: worker threads, signals and exit codes under test then behave as they do in a service.
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
