import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { precompress } from './precompress.ts';

// A running server for `npm run dev`.
const server = process.env['GANTRY'] ?? 'http://127.0.0.1:8104';

export default defineConfig({
  // The server may be behind a path of a reverse proxy.
  base: './',
  plugins: [react(), precompress()],
  build: {
    target: 'es2022',
    assetsDir: 'start',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: 'es' },
  server: {
    proxy: Object.fromEntries(['/api', '/dicom-web', '/wado'].map((path) => [path, server])),
  },
});
