@echo off
cd /d "%USERPROFILE%\OneDrive\Trading"
call venv\Scripts\activate.bat
python run_automated_trading.py
