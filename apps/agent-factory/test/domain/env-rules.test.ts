import { expect, test } from 'vitest'
import { envNameFault, reservedName } from '../../src/domain/env-rules.ts'

test.for([
  ...[
    'NODE_OPTIONS',
    'NODE_PATH',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'NODE_V8_COVERAGE',
    'UV_THREADPOOL_SIZE',
  ],
  ...['LD_PRELOAD', 'LD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES', 'GCONV_PATH', 'MALLOC_CHECK_'],
  ...['PATH', 'HOME', 'TMPDIR', 'SHELL', 'ENV', 'BASH_ENV', 'IFS', 'PS4', 'PROMPT_COMMAND'],
  ...['HYPERCODE_URL', 'HYPERCODE_CLIENT_ID', 'HYPERCODE_INSTANCE', 'AGENT_PORT', 'AGENT_SLOTS', 'HOST', 'FACTORY_DIR'],
  ...['JWT_SECRET_FILE', 'ANYTHING_FILE', 'SSL_CERT_DIR', 'OPENSSL_CONF', 'CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE'],
  ...['GIT_SSH_COMMAND', 'GIT_CONFIG_GLOBAL', 'SSH_AUTH_SOCK', 'HTTPS_PROXY', 'ALL_PROXY'],
  ...['PYTHONPATH', 'PERL5LIB', 'RUBYOPT', 'JAVA_TOOL_OPTIONS', 'NPM_CONFIG_USERCONFIG', 'DOCKER_HOST', 'KUBECONFIG'],
])('%s is set by nobody but the factory', (name) => {
  expect(reservedName(name)).toBeDefined()
  expect(envNameFault(name)).toBeDefined()
})

test.for(['OPENAI_API_KEY', 'GITHUB_TOKEN', 'DB_PASSWORD', 'PASSWORD', 'SIGNING_PRIVATE_KEY', 'AWS_SECRET_ACCESS_KEY'])(
  '%s is a secret, which stands in no manifest and may be given by name',
  (name) => {
    expect(envNameFault(name)?.fix).toContain('spec.secrets')
    expect(reservedName(name)).toBeUndefined()
  },
)

test.for([
  'MODEL_BASE_URL',
  'MODEL_NAME',
  'MAX_TOKENS',
  'LOG_LEVEL',
  'DRAIN_MS',
  'TZ',
  'LANG',
  'GREETING',
  'CODER_WORK_DIR',
  'FILES',
  'PATHS_MAX',
])('%s may be set', (name) => {
  expect(envNameFault(name)).toBeUndefined()
})
