import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// `npm run dev` serves the page with live reload and passes calls on to a gateway on this host.
export default defineConfig({
  plugins: [vue()],
  build: { target: 'es2022', assetsInlineLimit: 0 },
  server: {
    proxy: {
      '/sip': { target: 'wss://localhost:8443', ws: true, secure: false, changeOrigin: true, rewriteWsOrigin: true },
      '/v1': { target: 'https://localhost:8443', secure: false, changeOrigin: true }
    }
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] }
})
