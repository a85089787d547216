/** `npm run chaos -- [--seconds N] [--seed S] [--only R3,R4]`: see the README of `@hypercode/e2e`. */
import '@hypercode/e2e/chaos'
