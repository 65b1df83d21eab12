import { useState } from 'react';

/** Something that is shown once, to be copied. */
export function Secret({ label, value }: { label: string; value: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setIsCopied(true);
    } catch {
      // Without HTTPS browsers have no clipboard; the text can be marked by hand.
      setIsCopied(false);
    }
  };
  return (
    <div className="secret">
      <output aria-label={label}>
        <code>{value}</code>
      </output>
      <button type="button" className="quiet small" onClick={() => void copy()}>
        {isCopied ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}
