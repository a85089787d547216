import type { Rule } from '../rule.ts'

const kind = 'secrets'

export const DEFAULT_SECRET: Rule = {
  kind,
  id: 'default-secret',
  title: 'A secret has a default value',
  priority: 'P0',
  confidence: 'high',
  impact:
    'Whoever reads the source knows the value. A deployment that forgets to set the variable starts without a complaint, and anybody can forge its tokens or log in.',
  recommendation:
    'Give it no default: read it from the environment or a mounted file, and refuse to start when it is missing, a placeholder or too short.',
}

export const HARDCODED_SECRET: Rule = {
  kind,
  id: 'hardcoded-secret',
  title: 'A secret is written into the source',
  priority: 'P0',
  confidence: 'high',
  impact:
    'Everybody with access to the repository, its history or a copy of the image holds this secret, and it cannot be rotated without a release.',
  recommendation: 'Rotate it now, read it from the environment or a secret store, and remove it from the history.',
}

export const VENDOR_KEY: Rule = {
  ...HARDCODED_SECRET,
  id: 'vendor-key',
  title: 'A live key of a vendor is in the repository',
  impact: 'The key works for whoever finds it: it can be used, and billed, until it is revoked.',
  recommendation:
    'Revoke the key at the vendor now, issue a new one into a secret store, and remove the old one from the history.',
}

export const PRIVATE_KEY: Rule = {
  ...HARDCODED_SECRET,
  id: 'private-key',
  title: 'A private key is in the repository',
  recommendation:
    'Replace the key pair, mount the new private key from a secret store, and remove the old one from the history.',
}

export const URL_CREDENTIALS: Rule = {
  kind,
  id: 'credentials-in-url',
  title: 'A connection string carries a password',
  priority: 'P0',
  confidence: 'high',
  impact:
    'The password is known to everybody who can read the source, and tends to end up in logs and error messages as well.',
  recommendation: 'Read the whole URL from the environment without a default, and change the password.',
}

export const COMMITTED_ENV: Rule = {
  kind,
  id: 'committed-env-file',
  title: 'An env file with secrets is part of the repository',
  priority: 'P0',
  confidence: 'high',
  impact: 'Every clone, fork and build context carries these values.',
  recommendation:
    'Remove the file from git (git rm --cached), add it to .gitignore, rotate what it held, and keep a .env.example without values.',
}
