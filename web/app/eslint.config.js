import jsxA11y from 'eslint-plugin-jsx-a11y';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

// Imports flow shared → features → app; features do not know each other.
const features = ['audit', 'emergency', 'login', 'peers', 'people', 'profile', 'roles', 'studies', 'tokens'];
const inFeatures = features.map((feature) => ({
  files: [`src/features/${feature}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          { group: ['**/app/*'], message: 'Features do not know the app.' },
          {
            group: features.filter((other) => other !== feature).map((other) => `**/${other}/*`),
            message: 'Features do not know each other.',
          },
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist'] },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [
      ...tseslint.configs.strictTypeChecked,
      jsxA11y.flatConfigs.strict,
      reactHooks.configs.flat['recommended-latest'],
    ],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['src/shared/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/app/*', '**/features/*'], message: 'What is shared knows neither.' }] },
      ],
    },
  },
  ...inFeatures,
);
