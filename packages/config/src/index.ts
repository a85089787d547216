export { CONFIG_EXIT_CODE, ConfigError } from './config-error.ts'
export type { ConfigProblem } from './config-error.ts'
export { describeConfig } from './describe-config.ts'
export { readExampleValues, renderEnv } from './env-file.ts'
export { generateSecret } from './generate-secret.ts'
export { judgeSecret } from './judge-secret.ts'
export {
  ApiKey,
  HttpUrl,
  JwtSecret,
  PostgresUrl,
  PrivateKeyPem,
  PublicKeyPem,
  RedisUrl,
  Secret,
  secretKindOf,
} from './kinds.ts'
export type { SecretKind } from './kinds.ts'
export { loadConfig } from './load-config.ts'
export type { Env, LoadOptions } from './load-config.ts'
export { exitOnConfigError, runService } from './run-service.ts'
export type { RefusalFormat } from './run-service.ts'
export { readSecretFile } from './secret-file.ts'
export type { SecretFile } from './secret-file.ts'
export type { SecretFault, SecretFaultCode } from './secret-fault.ts'
export { PortVariable, serviceVariables, verifierVariables } from './service-variables.ts'
