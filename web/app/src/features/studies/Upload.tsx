import { useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { acceptFiles } from './upload.js';

/** Takes files that are dropped on any page, or chosen with the buttons of the list. */
export function Upload() {
  const client = useQueryClient();
  useEffect(() => {
    const leaving = new AbortController();
    acceptFiles(() => void client.invalidateQueries({ queryKey: ['api/statistics'] }), leaving.signal);
    return () => leaving.abort();
  }, [client]);
  return (
    <>
      <input type="file" id="upload-files" aria-label="Files to upload" multiple hidden />
      <input type="file" id="upload-folder" aria-label="Folder to upload" ref={asFolder} hidden />
      <section className="upload" id="upload" aria-live="polite" aria-label="Upload" hidden />
      <div className="drop" id="drop" hidden>
        <p>Drop DICOM files or folders to store them</p>
      </div>
    </>
  );
}

function asFolder(input: HTMLInputElement | null): void {
  if (input !== null) {
    input.webkitdirectory = true;
  }
}
