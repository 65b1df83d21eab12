import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app/App.tsx';
import './app/tokens.css';
import './app/base.css';
import './app/shell.css';
import './features/studies/studies.css';

const root = document.getElementById('root');
if (root === null) {
  throw new Error('the page has no root');
}
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
